//! Everything that a program does with published files: fetch them, take them from the user, list them.

use std::path::{Path, PathBuf};

use crate::asset::Asset;
use crate::cache::Cache;
use crate::catalogue::ASSETS;
use crate::error::Result;
use crate::listener::Listener;
use crate::obtain::{Place, obtain};

/// Brings published files into a cache.
pub struct Fetcher<'a> {
    cache: Cache,
    listener: &'a dyn Listener,
    clients: Option<PathBuf>,
    command: &'a str,
}

impl<'a> Fetcher<'a> {
    /// Into this cache.
    pub fn new(cache: Cache, listener: &'a dyn Listener) -> Self {
        Self { cache, listener, clients: None, command: "fewstep" }
    }

    /// Looks for pip, npm, apt-get and curl in a folder, instead of in the user's PATH.
    #[must_use]
    pub fn with_clients(mut self, folder: &Path) -> Self {
        self.clients = Some(folder.to_owned());
        self
    }

    /// Names another program than `fewstep` in messages: the one whose `fetch` a person can call.
    #[must_use]
    pub fn with_command(mut self, command: &'a str) -> Self {
        self.command = command;
        self
    }

    /// Puts an asset's files into the cache, unless they are there and right, from the first source that has them; gives
    /// their folder.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) where no source had them; an error of the file system.
    pub fn get(&self, asset: &'static Asset) -> Result<PathBuf> {
        obtain(asset, &self.place(), None)
    }

    /// The same with a folder, a file or an archive of the user's in place of the sources.
    ///
    /// # Errors
    /// [`Error::Taken`](crate::Error::Taken) where it has not all that is missing; an error of the file system.
    pub fn take(&self, asset: &'static Asset, from: &Path) -> Result<PathBuf> {
        obtain(asset, &self.place(), Some(from))
    }

    /// What can be fetched, what is there, and from where each is had: lines for a person.
    #[must_use]
    pub fn list(&self) -> String {
        let root = self.cache.root();
        let mut text = format!("{} fetch NAME... puts into {}:\n\n", self.command, root.display());
        for Asset { set, sources, .. } in ASSETS {
            let folder = root.join(set.name);
            let there = set.files.iter().all(|file| folder.join(file.name).exists());
            let there = if there { ", is there" } else { "" };
            let sources: Vec<_> = sources.iter().map(|source| source.client.to_string()).collect();
            let sources = sources.join(", or ");
            text += &format!("  {:14} {}{there}\n{:17}from {sources}\n", set.name, set.about, "");
        }
        text + "\n`--from PATH` takes a folder, file or archive of your own instead.\n"
    }

    fn place(&self) -> Place<'_> {
        Place {
            cache: &self.cache,
            clients: self.clients.as_deref(),
            listener: self.listener,
            command: self.command,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::Silent;

    #[test]
    fn the_list_tells_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let list = || Fetcher::new(cache.clone(), &Silent).with_command("cargo xtask").list();
        assert!(!list().contains("is there"));
        std::fs::create_dir(folder.path().join("inception")).unwrap();
        std::fs::write(folder.path().join("inception/inception-2015-12-05.pt"), "").unwrap();
        let text = list();
        assert!(text.starts_with("cargo xtask fetch NAME"), "{text}");
        assert_eq!(text.matches("is there").count(), 1, "{text}");
        assert!(ASSETS.iter().all(|asset| text.contains(asset.set.name)), "{text}");
    }
}
