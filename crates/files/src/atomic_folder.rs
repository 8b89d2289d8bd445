//! Folders that are whole or absent, and a folder's own list of names on disk.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::temporary::{builder, parent, reason};

/// A folder on its way to a path, as [`AtomicFile`](crate::AtomicFile) is for a file.
#[derive(Debug)]
pub struct AtomicFolder {
    folder: TempDir,
    path: PathBuf,
}

impl AtomicFolder {
    /// Begins a folder for `path`, in a folder that must exist.
    ///
    /// # Errors
    /// That folder is missing, read only or full; `path` is named.
    pub fn create(path: &Path) -> Result<Self> {
        let folder = builder(0o777).tempdir_in(parent(path)).map_err(|e| failed(path, reason(e)))?;
        Ok(Self { folder, path: path.to_owned() })
    }

    /// Where its files are written meanwhile.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives the folder its name; an empty folder may be there already. The files in it are not flushed to disk: there may be
    /// a million of them.
    ///
    /// # Errors
    /// The file system refuses or something lies at the path; the path is named, and no temporary folder is left.
    pub fn commit(self) -> Result<()> {
        std::fs::rename(self.folder.path(), &self.path).map_err(|e| failed(&self.path, e))?;
        // There is nothing left under the temporary name.
        let _ = self.folder.keep();
        Ok(())
    }
}

/// Flushes a folder's list of names to disk: what was renamed into it is there even after the power fails.
///
/// # Errors
/// The file system refuses.
pub fn sync_folder(folder: &Path) -> Result<()> {
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| Error::Io { operation: "flushing", path: folder.to_owned(), source })
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Io { operation: "writing", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_there_once_it_is_committed() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("images");
        let given_up = AtomicFolder::create(&path).unwrap();
        std::fs::write(given_up.path().join("a"), "half").unwrap();
        drop(given_up);
        assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 0);

        let whole = AtomicFolder::create(&path).unwrap();
        std::fs::write(whole.path().join("a"), "all").unwrap();
        assert!(!path.exists());
        whole.commit().unwrap();
        sync_folder(outer.path()).unwrap();
        assert_eq!(std::fs::read_to_string(path.join("a")).unwrap(), "all");

        let second = AtomicFolder::create(&path).unwrap();
        assert!(second.commit().unwrap_err().to_string().contains("images"));
        assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 1);
        assert!(sync_folder(&outer.path().join("absent")).unwrap_err().to_string().contains("absent"));
    }
}
