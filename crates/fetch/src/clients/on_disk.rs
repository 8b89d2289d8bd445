//! What lies in a folder while others write to it.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// The bytes in a file, or in all files of a folder; 0 for what is not there.
pub(crate) fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => files(path).iter().map(|path| size(path)).sum(),
        Ok(found) => found.len(),
        // It is not there yet, or went away while we looked.
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_what_lies_in_the_work_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(size(folder.path()), 0);
        fs::create_dir(folder.path().join("unpack")).unwrap();
        fs::write(folder.path().join("unpack/wheel"), [0; 10]).unwrap();
        fs::write(folder.path().join("small"), [0; 3]).unwrap();
        assert_eq!(size(folder.path()), 13);
        assert_eq!(size(&folder.path().join("absent")), 0);
    }
}
