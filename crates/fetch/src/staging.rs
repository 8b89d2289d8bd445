//! Folders that are filled beside their place, and what is removed on the way.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Result, cannot};
use crate::listener::Listener;

/// A folder beside its final place, removed unless it is published.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
    target: PathBuf,
}

impl Staging {
    /// Empty, whatever a killed command left there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(target: &Path) -> Result<Self> {
        let staging = Self { path: beside(target, "partial"), target: target.to_path_buf() };
        remove(&staging.path)?;
        fs::create_dir_all(&staging.path).map_err(cannot("make", &staging.path))?;
        Ok(staging)
    }

    /// The folder to fill.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the folder into place. What was there is moved aside first and removed last, so that programs which use
    /// it keep the files they opened.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn publish(self) -> Result<()> {
        let old = beside(&self.target, "old");
        remove(&old)?;
        match fs::rename(&self.target, &old) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => fs::rename(&self.path, &self.target),
        }
        .map_err(cannot("put in place", &self.target))?;
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
///
/// # Errors
/// It is there, and the file system refuses.
pub fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot("remove", folder)(error)),
        _ => Ok(()),
    }
}

/// Removes a download that is of no use: it would be taken for the right one again every time.
pub fn discard(download: &Path, listener: &dyn Listener) {
    listener.warn(&format!("removing {}, which is damaged or not what was asked for", download.display()));
    if let Err(error) = fs::remove_file(download) {
        listener.warn(&format!("cannot remove {}: {error}", download.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
