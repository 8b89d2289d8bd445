//! The cache: one folder a user, shared by checkouts. One command at a time writes to it, and what appears in it is
//! whole. Beside it what moves files into it: unpacking, digests, and how far that is.

pub(crate) mod digest;
mod member;
pub(crate) mod progress;
pub(crate) mod tarball;
pub(crate) mod unzip;

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{env, io};

use anyhow::{Context, Result};

/// The folder that holds downloads, libtorchs, data sets and weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    pub(crate) fn locate() -> Result<Self> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        Self::from_variables(set("FEWSTEP_CACHE"), set("XDG_CACHE_HOME"), set("HOME"))
    }

    fn from_variables(own: Option<OsString>, xdg: Option<OsString>, home: Option<OsString>) -> Result<Self> {
        let own = own.map(PathBuf::from);
        // The XDG specification wants relative values ignored.
        let xdg = xdg.map(PathBuf::from).filter(|path| path.is_absolute()).map(|path| path.join("fewstep"));
        let home = home.map(|path| PathBuf::from(path).join(".cache/fewstep"));
        let root = own.or(xdg).or(home).context("no HOME: set FEWSTEP_CACHE to a folder for downloads")?;
        Ok(Self { root: std::path::absolute(root)? })
    }

    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// Absolute, so that it means the same to programs that run elsewhere.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn downloads(&self) -> PathBuf {
        self.root.join("downloads")
    }

    /// Waits until nobody else writes to the cache.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let path = self.root.join("lock");
        let downloads = self.downloads();
        fs::create_dir_all(&downloads).with_context(|| format!("cannot make {}", downloads.display()))?;
        let locked = || -> io::Result<Lock> {
            let file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    eprintln!("waiting for another `cargo xtask` that writes to the same cache");
                    file.lock()?;
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            Ok(Lock { file })
        };
        locked().with_context(|| format!("cannot lock {}", path.display()))
    }
}

/// The right to write to the cache, until it is dropped and no child holds it.
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// The lock as a child's standard input, where it reads as an empty file. A child that outlives a killed command so
    /// keeps the lock until it is done, and two downloads never write to one file.
    pub(crate) fn stdin(&self) -> Result<Stdio> {
        Ok(self.file.try_clone()?.into())
    }
}

/// A folder beside its final place, removed unless it is published.
pub(crate) struct Staging {
    path: PathBuf,
    target: PathBuf,
}

impl Staging {
    /// Empty, whatever a killed command left there.
    pub(crate) fn new(target: &Path) -> Result<Self> {
        let staging = Self { path: beside(target, "partial"), target: target.to_path_buf() };
        remove(&staging.path)?;
        fs::create_dir_all(&staging.path)
            .with_context(|| format!("cannot make {}", staging.path.display()))?;
        Ok(staging)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the folder into place. What was there is moved aside first and removed last, so that programs which use
    /// it keep the files they opened.
    pub(crate) fn publish(self) -> Result<()> {
        let old = beside(&self.target, "old");
        remove(&old)?;
        match fs::rename(&self.target, &old) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => fs::rename(&self.path, &self.target),
        }
        .with_context(|| format!("cannot move {} into place", self.target.display()))?;
        remove(&old)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After `publish` there is nothing to remove; after an error there is one already on its way to the user.
        let _ = remove(&self.path);
    }
}

fn beside(target: &Path, suffix: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{suffix}"));
    target.with_file_name(name)
}

/// Removes a folder that may not be there.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Removes a download that is of no use: it would be taken for the right one again every time.
pub(crate) fn discard(download: &Path) {
    eprintln!("removing {}, which is damaged or not what was asked for", download.display());
    if let Err(error) = fs::remove_file(download) {
        eprintln!("cannot remove {}: {error}", download.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_places_the_cache() {
        let at = |own: Option<&str>, xdg: Option<&str>, home: Option<&str>| {
            Cache::from_variables(own.map(Into::into), xdg.map(Into::into), home.map(Into::into))
        };
        assert_eq!(at(Some("/own"), Some("/xdg"), Some("/h")).unwrap().root, Path::new("/own"));
        assert_eq!(at(None, Some("/xdg"), Some("/h")).unwrap().root, Path::new("/xdg/fewstep"));
        assert_eq!(at(None, Some("relative"), Some("/h")).unwrap().root, Path::new("/h/.cache/fewstep"));
        assert!(at(Some("relative"), None, None).unwrap().root.is_absolute());
        assert!(at(None, None, None).unwrap_err().to_string().contains("FEWSTEP_CACHE"));
    }

    #[test]
    fn an_abandoned_staging_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("libtorch-2.11.0-cpu");
        let staging = Staging::new(&target).unwrap();
        fs::write(staging.path().join("half"), "made").unwrap();
        drop(staging);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_killed_commands_leftovers_do_not_get_into_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("libtorch-2.11.0-cpu");
        let staging = Staging::new(&target).unwrap();
        fs::write(staging.path().join("half"), "made").unwrap();
        std::mem::forget(staging);
        assert!(!target.exists());
        let again = Staging::new(&target).unwrap();
        assert_eq!(fs::read_dir(again.path()).unwrap().count(), 0);
    }

    #[test]
    fn publishing_replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("libtorch-2.11.0-cpu");
        for text in ["first", "second"] {
            let staging = Staging::new(&target).unwrap();
            fs::write(staging.path().join("version.py"), text).unwrap();
            staging.publish().unwrap();
            assert_eq!(fs::read_to_string(target.join("version.py")).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_lock_is_held_until_a_child_with_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let lock = cache.lock().unwrap();
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
