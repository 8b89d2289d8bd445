//! libtorch out of the Python packages, fetched by name with pip, so that a user's mirror and proxy are honoured.
//!
//! For the CPU the wheel of `torch` is unpacked and not installed: a few libraries and the headers, 440 MB of what
//! would be gigabytes with its dependencies. The wheel is built for CUDA, and even its CPU library needs two of
//! NVIDIA's beside it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fewstep_fetch::archives::unzip;
use fewstep_fetch::clients::{Session, pip};
use fewstep_fetch::{Cache, discard};

use super::libtorch::{VERSION, python_version};

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
pub(crate) fn fill(session: &Session, into: &Path) -> Result<()> {
    unpack(session, &TORCH, into)?;
    // A user's mirror may serve the wheel without CUDA, which needs nothing more.
    if is_cuda(into)? {
        for wheel in &NVIDIA {
            unpack(session, wheel, into)?;
        }
    }
    Ok(())
}

/// Whether what a wheel of `torch` holds was built for CUDA.
pub(crate) fn is_cuda(folder: &Path) -> Result<bool> {
    let version =
        fs::read_to_string(folder.join("version.py")).context("the wheel of torch has no version.py")?;
    Ok(python_version(&version).is_some_and(|version| version.contains("+cu")))
}

/// What the CPU half of a torch that is built for CUDA needs, as pip is asked for it.
pub(crate) fn nvidia() -> [String; 2] {
    NVIDIA.map(|wheel| format!("{}=={}", wheel.package, wheel.version))
}

/// Installs `torch` with all its dependencies into the folder, as a libtorch with CUDA.
pub(crate) fn install(session: &Session, into: &Path) -> Result<()> {
    Ok(pip::install(session, &format!("torch=={VERSION}"), into)?)
}

/// Whether the large one of the downloads is there.
pub(crate) fn has_torch(cache: &Cache) -> bool {
    pip::downloaded(&cache.downloads(), TORCH.package, TORCH.version).is_some()
}

fn unpack(session: &Session, wheel: &Wheel, into: &Path) -> Result<()> {
    let file = pip::wheel(session, wheel.package, wheel.version)?;
    let listener = session.listener();
    Ok(unzip::unpack(&file, into, wheel.place, listener).inspect_err(|_| discard(&file, listener))?)
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
}
