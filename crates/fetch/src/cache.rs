//! The cache: one folder a user, shared by checkouts. One command at a time writes to it, and what appears in it is whole.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use fewstep_files::cache_folder;

use crate::error::{Error, Result, cannot};
use crate::listener::Listener;

/// The folder that holds downloads, libtorchs, data sets and weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The user's, in [`cache_folder`]. It need not exist.
    ///
    /// # Errors
    /// [`Error::NoCache`] without a home.
    pub fn locate() -> Result<Self> {
        Self::at(&cache_folder().ok_or(Error::NoCache)?)
    }

    /// One in this folder.
    ///
    /// # Errors
    /// The path is relative and there is no working folder.
    pub fn at(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root).map_err(cannot("find", root))?;
        Ok(Self { root })
    }

    /// The folder: absolute, so that it means the same to programs that run elsewhere.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where what clients leave is kept. It may be deleted at any time.
    #[must_use]
    pub fn downloads(&self) -> PathBuf {
        self.root.join("downloads")
    }

    /// Waits until nobody else writes to the cache.
    ///
    /// # Errors
    /// The folder cannot be made or locked.
    pub fn lock(&self, listener: &dyn Listener) -> Result<Lock> {
        let path = self.root.join("lock");
        let downloads = self.downloads();
        fs::create_dir_all(&downloads).map_err(cannot("make", &downloads))?;
        let locked = || -> io::Result<Lock> {
            let file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    listener.info("waiting for another program that writes to the same cache");
                    file.lock()?;
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            Ok(Lock { file, path: path.clone() })
        };
        locked().map_err(cannot("lock", &path))
    }
}

/// The right to write to the cache, until it is dropped and no child holds it.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// The lock as a child's standard input, where it reads as an empty file. A child that outlives a killed command so
    /// keeps the lock until it is done, and two downloads never write to one file.
    ///
    /// # Errors
    /// The process has too many files open.
    pub fn stdin(&self) -> Result<Stdio> {
        let file = self.file.try_clone();
        Ok(file.map_err(cannot("share the lock of", &self.path))?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::Silent;

    #[test]
    fn its_folder_is_absolute() {
        assert!(Cache::at("relative".as_ref()).unwrap().root.is_absolute());
        assert_eq!(Cache::at("/own".as_ref()).unwrap().root, Path::new("/own"));
    }

    #[test]
    fn the_lock_is_held_until_a_child_with_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let lock = cache.lock(&Silent).unwrap();
        let other = || File::open(folder.path().join("lock")).unwrap().try_lock();
        assert!(matches!(other(), Err(TryLockError::WouldBlock)));
        let mut child =
            std::process::Command::new("sleep").arg("0.5").stdin(lock.stdin().unwrap()).spawn().unwrap();
        drop(lock);
        assert!(matches!(other(), Err(TryLockError::WouldBlock)));
        child.wait().unwrap();
        other().unwrap();
    }
}
