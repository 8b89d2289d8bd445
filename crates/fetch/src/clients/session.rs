//! What every client shares: the right to write to the cache, a folder to work in, and somebody who hears how far it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::on_disk::{file_name, files, size};
use crate::cache::{Cache, Lock};
use crate::error::{Error, Result, cannot};
use crate::listener::Listener;
use crate::process;
use crate::staging::remove;

/// What a download needs: a place, the right to write there, and clients.
pub struct Session<'a> {
    cache: &'a Cache,
    lock: &'a Lock,
    /// Where clients are looked for instead of the user's PATH.
    clients: Option<&'a Path>,
    listener: &'a dyn Listener,
}

impl<'a> Session<'a> {
    /// `clients` is the folder where clients are looked for, if it is not the user's PATH.
    pub fn new(
        cache: &'a Cache,
        lock: &'a Lock,
        clients: Option<&'a Path>,
        listener: &'a dyn Listener,
    ) -> Self {
        Self { cache, lock, clients, listener }
    }

    /// Who hears how far a download is.
    #[must_use]
    pub fn listener(&self) -> &'a dyn Listener {
        self.listener
    }

    /// Where what clients leave is kept.
    #[must_use]
    pub fn downloads(&self) -> PathBuf {
        self.cache.downloads()
    }

    /// A client by its name.
    #[must_use]
    pub fn client(&self, name: &str) -> Command {
        match self.clients {
            Some(folder) => Command::new(folder.join(name)),
            None => Command::new(name),
        }
    }

    /// Runs a client to its end and says meanwhile how many bytes lie at `watched`.
    pub(super) fn run(&self, command: &mut Command, what: &str, watched: &Path) -> Result<ExitStatus> {
        // Standard output is for the answer of the command that needs a download.
        command.stdin(self.lock.stdin()?).stdout(Stdio::null());
        let mut progress = self.listener.transfer(what, None);
        process::run_watched(command, || progress.at(size(watched)))
    }

    /// Runs a client that leaves a file in its working folder, and moves that among the downloads. Only a client that
    /// succeeded can have left a whole one. The folder is ours: it can be watched, and is removed whatever happens.
    pub(super) fn leaves(
        &self,
        command: &mut Command,
        what: &str,
        is_it: impl Fn(&str) -> bool,
    ) -> Result<PathBuf> {
        let work = self.work(command)?;
        let found = self.run(command.current_dir(&work), what, &work).and_then(|status| {
            process::succeeded(command, status)?;
            let found = files(&work).into_iter().find(|path| is_it(file_name(path)));
            let found = found.ok_or_else(|| Error::LeftNothing { command: what.to_owned() })?;
            let target = self.downloads().join(file_name(&found));
            fs::rename(&found, &target).map_err(cannot("put in place", &target))?;
            Ok(target)
        });
        remove(&work)?;
        found
    }

    /// An empty folder for a client's files, which may be gigabytes: not in the system's temporary folder.
    pub(super) fn work(&self, command: &mut Command) -> Result<PathBuf> {
        let work = self.downloads().join(format!("{}-work", process::name(command)));
        remove(&work)?;
        fs::create_dir_all(&work).map_err(cannot("make", &work))?;
        command.env("TMPDIR", &work);
        Ok(work)
    }
}

/// The text of a path that is an argument of a client.
///
/// # Errors
/// It has none.
pub fn path_text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Error::NotUtf8 { path: path.to_owned() })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::listener::Silent;

    /// A stand-in for a client: a shell script. A shell writes it: were it open for writing in this process, a child
    /// forked by another test could hold it open and it could not be started.
    pub(crate) fn stand_in(folder: &Path, name: &str, body: &str) {
        fs::create_dir_all(folder).unwrap();
        let script = "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod +x \"$1\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh"]).arg(folder.join(name)).arg(body);
        assert!(shell.status().unwrap().success());
    }

    #[test]
    fn what_a_client_leaves_is_moved_and_its_folder_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let lock = cache.lock(&Silent).unwrap();
        stand_in(
            &folder.path().join("bin"),
            "client",
            "echo half >$TMPDIR/x.tmp; echo whole >a.deb; exit $1",
        );
        let clients = folder.path().join("bin");
        let session = Session::new(&cache, &lock, Some(&clients), &Silent);
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
        let cache = Cache::at(folder.path()).unwrap();
        let lock = cache.lock(&Silent).unwrap();
        let clients = folder.path().join("bin");
        let session = Session::new(&cache, &lock, Some(&clients), &Silent);
        let error = session.leaves(&mut session.client("npm"), "npm", |_| true).unwrap_err().to_string();
        assert_eq!(error, "npm is not installed");
    }
}
