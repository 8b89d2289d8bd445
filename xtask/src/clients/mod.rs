//! The ordinary clients by which packages and files arrive: pip, npm, apt-get, curl. They know a user's mirror, proxy
//! and credentials, so packages are asked for by name and never by address. Each leaves a file among the cache's
//! downloads.

pub(crate) mod apt;
pub(crate) mod curl;
pub(crate) mod npm;
pub(crate) mod pip;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result};

use crate::cache::progress::Progress;
use crate::cache::{self, Cache, Lock};
use crate::process;

/// What a download needs: a place, the right to write there, and clients.
pub(crate) struct Session<'a> {
    cache: &'a Cache,
    lock: &'a Lock,
    /// Where clients are looked for instead of the user's PATH.
    clients: Option<&'a Path>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(cache: &'a Cache, lock: &'a Lock, clients: Option<&'a Path>) -> Self {
        Self { cache, lock, clients }
    }

    pub(crate) fn downloads(&self) -> PathBuf {
        self.cache.downloads()
    }

    pub(crate) fn client(&self, name: &str) -> Command {
        match self.clients {
            Some(folder) => Command::new(folder.join(name)),
            None => Command::new(name),
        }
    }

    /// Runs a client to its end and says meanwhile how many bytes lie at `watched`.
    fn run(&self, command: &mut Command, what: &str, watched: &Path) -> Result<ExitStatus> {
        // Standard output is for the answer of the command that needs a download.
        command.stdin(self.lock.stdin()?).stdout(Stdio::null());
        let mut progress = Progress::new(what, None);
        let status = process::run_watched(command, || progress.at(size(watched)));
        drop(progress);
        status.map_err(|error| match error.downcast_ref::<std::io::Error>() {
            Some(cause) if cause.kind() == ErrorKind::NotFound => {
                anyhow::anyhow!("{} is not installed", process::name(command))
            }
            _ => error,
        })
    }

    /// Runs a client that leaves a file in its working folder, and moves that among the downloads. Only a client that
    /// succeeded can have left a whole one. The folder is ours: it can be watched, and is removed whatever happens.
    fn leaves(&self, command: &mut Command, what: &str, is_it: impl Fn(&str) -> bool) -> Result<PathBuf> {
        let work = self.work(command)?;
        let found = self.run(command.current_dir(&work), what, &work).and_then(|status| {
            process::succeeded(command, status)?;
            let found = files(&work).into_iter().find(|path| is_it(file_name(path)));
            let found = found.with_context(|| format!("{what}: it left no file"))?;
            let target = self.downloads().join(file_name(&found));
            fs::rename(&found, &target)
                .with_context(|| format!("cannot move {} into place", target.display()))?;
            Ok(target)
        });
        cache::remove(&work)?;
        found
    }

    /// An empty folder for a client's files, which may be gigabytes: not in the system's temporary folder.
    fn work(&self, command: &mut Command) -> Result<PathBuf> {
        let work = self.downloads().join(format!("{}-work", process::name(command)));
        cache::remove(&work)?;
        fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
        command.env("TMPDIR", &work);
        Ok(work)
    }
}

/// The text of a path that a client is given as an argument.
pub(crate) fn path_text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8, which this needs", path.display()))
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// The bytes in a file, or in all files of a folder; 0 for what is not there.
fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => files(path).iter().map(|path| size(path)).sum(),
        Ok(found) => found.len(),
        // It is not there yet, or went away while we looked.
        Err(_) => 0,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A stand-in for a client: a shell script. A shell writes it: were it open for writing in this process, a child
    /// forked by another test could hold it open and it could not be started.
    pub(crate) fn stand_in(folder: &Path, name: &str, body: &str) {
        fs::create_dir_all(folder).unwrap();
        let script = "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod +x \"$1\"";
        let mut shell = Command::new("sh");
        process::run(shell.args(["-c", script, "sh"]).arg(folder.join(name)).arg(body)).unwrap();
    }

    #[test]
    fn what_a_client_leaves_is_moved_and_its_folder_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let lock = cache.lock().unwrap();
        stand_in(
            &folder.path().join("bin"),
            "client",
            "echo half >$TMPDIR/x.tmp; echo whole >a.deb; exit $1",
        );
        let clients = folder.path().join("bin");
        let session = Session::new(&cache, &lock, Some(&clients));
        let left = |status: &str| {
            session.leaves(session.client("client").arg(status), "client", |name| name.ends_with(".deb"))
        };
        assert!(left("1").unwrap_err().to_string().contains("client 1` failed"));
        assert_eq!(files(&cache.downloads()).len(), 0);
        assert_eq!(fs::read_to_string(left("0").unwrap()).unwrap(), "whole\n");
        assert_eq!(files(&cache.downloads()), [cache.downloads().join("a.deb")]);
    }

    #[test]
    fn a_client_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let lock = cache.lock().unwrap();
        let clients = folder.path().join("bin");
        let session = Session::new(&cache, &lock, Some(&clients));
        let error = session.leaves(&mut session.client("npm"), "npm", |_| true).unwrap_err().to_string();
        assert_eq!(error, "npm is not installed");
    }

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
