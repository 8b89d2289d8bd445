//! What libtorch says of itself, and where it was loaded from: facts for whoever has to find out why it is slow, or another
//! than was expected.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::shim::{About, describe};

/// The libtorch of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Libtorch {
    /// The release that the program was built with, such as `2.11.0`.
    pub built_with: String,
    /// The release that is loaded, where the library says it.
    pub loaded: Option<String>,
    /// The kernels that it chose for this CPU: `DEFAULT`, `AVX2`, `AVX512`.
    pub kernels: String,
}

impl Libtorch {
    /// Asks.
    ///
    /// # Errors
    /// libtorch throws.
    pub fn of_this_process() -> Result<Self> {
        Ok(Self {
            built_with: describe(About::Headers)?,
            loaded: setting(&describe(About::Library)?, "TORCH_VERSION").map(str::to_owned),
            kernels: describe(About::Kernels)?,
        })
    }
}

/// The value of a setting in the text that describes a build of libtorch, `..., TORCH_VERSION=2.11.0, ...`.
fn setting<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("{key}="))?;
    rest.split([',', '\n', ' ']).next().filter(|value| !value.is_empty())
}

/// The folder that this process loaded a library from, such as `libtorch_cpu.so`; `None` where the system does not tell.
pub fn library_folder(library: &str) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| folder_in(line, library))
}

/// Of a line of the map of a process's memory: address, rights, offset, device, inode, path.
fn folder_in(line: &str, library: &str) -> Option<PathBuf> {
    let path = Path::new(&line[line.find('/')?..]);
    (path.file_name()? == library).then(|| path.parent().map(Path::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtorch_knows_itself() {
        let libtorch = Libtorch::of_this_process().unwrap();
        assert_eq!(libtorch.built_with, "2.11.0");
        assert_eq!(libtorch.loaded.as_deref(), Some("2.11.0"));
        assert!(!libtorch.kernels.is_empty());
        let folder = library_folder("libtorch_cpu.so").unwrap();
        assert!(folder.join("libc10.so").is_file(), "{folder:?}");
        assert_eq!(library_folder("libtorch_absent.so"), None);
    }

    #[test]
    fn settings_and_folders_are_found_in_their_texts() {
        let text = "  - Build settings: BLAS_INFO=mkl, TORCH_VERSION=2.11.0, USE_CUDA=ON, \n";
        assert_eq!(setting(text, "TORCH_VERSION"), Some("2.11.0"));
        assert_eq!(setting(text, "TORCH_RELEASE"), None);
        let line = "7f00-7f01 r-xp 00000000 08:01 123   /my own/lib/libc10.so";
        assert_eq!(folder_in(line, "libc10.so"), Some("/my own/lib".into()));
        assert_eq!(folder_in("7f00-7f01 rw-p 00000000 00:00 0  [heap]", "libc10.so"), None);
    }
}
