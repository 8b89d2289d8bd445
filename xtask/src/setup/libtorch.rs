//! What makes a folder a libtorch: the libraries and headers that the build asks for, of the one version that the
//! wrapper speaks to.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

/// The libtorch that tch 0.24 speaks to; no other will do.
pub(crate) const VERSION: &str = "2.11.0";

/// A folder with `lib/` and `include/` that looks complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Libtorch {
    pub(crate) root: PathBuf,
    /// As the folder itself says, such as `2.11.0+cu130`.
    pub(crate) version: String,
    /// It has the CUDA half.
    pub(crate) cuda: bool,
}

impl Libtorch {
    /// # Errors
    /// Something is missing, which the message names, or the version is another.
    pub(crate) fn inspect(root: &Path) -> Result<Self> {
        ensure!(root.is_dir(), "{} is no folder", root.display());
        let missing: Vec<_> = needed().into_iter().filter(|file| !has(root, file)).collect();
        ensure!(missing.is_empty(), "{} lacks {}", root.display(), missing.join(", "));
        let Some(version) = version(root) else {
            bail!("{} does not say its version (build-version, version.py, version.h)", root.display())
        };
        ensure!(
            version.split('+').next() == Some(VERSION),
            "{} is libtorch {version}, {VERSION} is needed",
            root.display()
        );
        Ok(Self { root: root.to_path_buf(), version, cuda: has(root, &library("torch_cuda")) })
    }

    pub(crate) fn lib(&self) -> PathBuf {
        self.root.join("lib")
    }

    /// The libraries to load to know that all is well, those that others need first.
    pub(crate) fn to_load(&self) -> Vec<PathBuf> {
        let cuda = self.cuda.then_some("torch_cuda");
        ["c10", "torch_cpu"].into_iter().chain(cuda).map(|name| self.root.join(library(name))).collect()
    }
}

/// What the wrapper's build script compiles against and links.
fn needed() -> Vec<String> {
    let headers =
        ["include/torch/csrc/api/include/torch/torch.h", "include/ATen/ATen.h", "include/c10/core/Device.h"];
    ["c10", "torch", "torch_cpu"].into_iter().map(library).chain(headers.map(str::to_owned)).collect()
}

fn library(name: &str) -> String {
    format!("lib/{DLL_PREFIX}{name}{DLL_SUFFIX}")
}

/// Empty files count as missing: that is what a full disk leaves.
fn has(root: &Path, file: &str) -> bool {
    fs::metadata(root.join(file)).is_ok_and(|found| found.is_file() && found.len() > 0)
}

/// The archive says its version in one file, the Python package in another, a distribution's only in a header.
fn version(root: &Path) -> Option<String> {
    let read = |file: &str| fs::read_to_string(root.join(file)).ok();
    read("build-version")
        .map(|text| text.trim().to_owned())
        .or_else(|| python_version(&read("version.py")?))
        .or_else(|| header_version(&read("include/torch/headeronly/version.h")?))
        .filter(|version| !version.is_empty())
}

/// The version in the text of the package's `version.py`.
pub(crate) fn python_version(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(value.trim().trim_matches(['\'', '"']).to_owned())
}

fn header_version(text: &str) -> Option<String> {
    let part = |name: &str| {
        let define = format!("#define TORCH_VERSION_{name} ");
        text.lines().find_map(|line| line.strip_prefix(define.as_str())).map(str::trim)
    };
    Some(format!("{}.{}.{}", part("MAJOR")?, part("MINOR")?, part("PATCH")?))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A folder that looks like a libtorch to everything but the loader.
    pub(crate) fn make(root: &Path) {
        for file in needed() {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        fs::write(root.join("version.py"), "__version__ = '2.11.0+cpu'\n").unwrap();
    }

    fn refused(root: &Path) -> String {
        Libtorch::inspect(root).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_folder_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        let found = Libtorch::inspect(folder.path()).unwrap();
        assert_eq!((found.version.as_str(), found.cuda), ("2.11.0+cpu", false));
        fs::write(folder.path().join(library("torch_cuda")), "x").unwrap();
        assert!(Libtorch::inspect(folder.path()).unwrap().cuda);
    }

    #[test]
    fn the_error_names_each_file_that_is_missing() {
        for file in needed() {
            let folder = tempfile::tempdir().unwrap();
            make(folder.path());
            fs::remove_file(folder.path().join(&file)).unwrap();
            assert!(refused(folder.path()).contains(&file), "{file}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_not_said_to_lack_files() {
        assert!(refused(Path::new("/nowhere")).contains("/nowhere is no folder"));
    }

    #[test]
    fn an_empty_library_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        fs::write(folder.path().join(library("torch_cpu")), "").unwrap();
        assert!(refused(folder.path()).contains(&library("torch_cpu")));
    }

    #[test]
    fn another_version_or_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        fs::write(folder.path().join("version.py"), "__version__ = '2.12.0'\n").unwrap();
        let error = refused(folder.path());
        assert!(error.contains("2.12.0") && error.contains(VERSION), "{error}");
        fs::remove_file(folder.path().join("version.py")).unwrap();
        assert!(refused(folder.path()).contains("does not say its version"));
    }

    #[test]
    fn the_three_ways_to_say_a_version() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        fs::write(folder.path().join("build-version"), "2.11.0+cu130\n").unwrap();
        assert_eq!(version(folder.path()).unwrap(), "2.11.0+cu130");
        let header =
            "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n#define TORCH_VERSION_PATCH 0\n";
        assert_eq!(header_version(header).unwrap(), "2.11.0");
        assert_eq!(header_version("#define TORCH_VERSION_MAJOR 2\n"), None);
        assert_eq!(
            python_version("__all__ = ['__version__']\n__version__ = \"2.11.0\"\n").unwrap(),
            "2.11.0"
        );
    }
}
