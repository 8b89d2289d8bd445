//! Bringing an asset into the cache: what is missing, from where, and the moves that put it into place.

use std::fs;
use std::path::{Path, PathBuf};

use fewstep_files::published::PublishedFile;

use crate::asset::{Asset, copy};
use crate::cache::Cache;
use crate::clients::Session;
use crate::error::{Attempt, Error, Result, cannot};
use crate::listener::Listener;
use crate::source::Source;
use crate::staging::{Staging, discard, remove};
use crate::unpack::unpack;

/// Where an asset is put, and what is needed for it.
pub(crate) struct Place<'a> {
    pub(crate) cache: &'a Cache,
    /// Where clients are looked for if not in PATH.
    pub(crate) clients: Option<&'a Path>,
    pub(crate) listener: &'a dyn Listener,
    /// The command by which a person fetches, for messages.
    pub(crate) command: &'a str,
}

/// Puts an asset's files into the cache, unless they are there and right: those of `from`, a folder, file or archive
/// of the user's, or else of the first source that has them. Gives the folder.
pub(crate) fn obtain(asset: &'static Asset, place: &Place<'_>, from: Option<&Path>) -> Result<PathBuf> {
    let Place { cache, listener, clients, command } = *place;
    let name = asset.set.name;
    let folder = cache.root().join(name);
    if asset.missing(&folder)?.files.is_empty() {
        return Ok(folder);
    }
    let lock = cache.lock(listener)?;
    // Another fetch may have brought it while this one waited.
    let missing = asset.missing(&folder)?;
    for (path, what) in &missing.wrong {
        let path = path.display();
        listener.warn(&format!("fetch: {path} is not the published file and will be replaced: {what}"));
    }
    let staging = Staging::new(&folder)?;
    let mut work = Work {
        asset,
        session: Session::new(cache, &lock, clients, listener),
        raw: staging.path().join("raw"),
        ready: staging.path().join("ready"),
        missing: missing.files,
        tried: Vec::new(),
    };
    fs::create_dir_all(&work.ready).map_err(cannot("make", &work.ready))?;
    // Packed or under other names the files may be there already.
    (work.missing, _) = asset.gather(&work.missing, &folder, &work.ready)?;
    match from {
        Some(from) => work.take_users(from)?,
        None => work.try_sources(),
    }
    if !work.missing.is_empty() {
        let hint = format!("{command} fetch {name} --from PATH");
        return Err(Error::Unavailable { name, missing: work.names(), tried: work.tried, hint });
    }
    install(&work.ready, &folder)?;
    Ok(folder)
}

/// A fetch under way.
struct Work<'a> {
    asset: &'static Asset,
    session: Session<'a>,
    /// What came out of archives.
    raw: PathBuf,
    /// Files that are right.
    ready: PathBuf,
    missing: Vec<&'static PublishedFile>,
    /// The sources that had not everything.
    tried: Vec<Attempt>,
}

impl Work<'_> {
    fn try_sources(&mut self) {
        for source in self.asset.sources {
            if self.missing.is_empty() {
                return;
            }
            let listener = self.session.listener();
            listener.info(&format!("fetch: {} from {}", self.asset.set.name, source.client));
            if let Err(error) = self.take_source(source) {
                listener.warn(&format!("fetch: {}: {error}", source.client));
                self.tried.push(Attempt { source: source.client.to_string(), reason: error.to_string() });
            }
        }
    }

    /// A download that was of use is not needed any more, and one that was not would be of none the next time.
    fn take_source(&mut self, source: &Source) -> Result<()> {
        let downloads = source.download(&self.session, self.asset.set.name)?;
        let taken = self.take_archives(&downloads);
        for file in &downloads {
            match &taken {
                Ok(()) => fs::remove_file(file).map_err(cannot("remove", file))?,
                Err(_) => discard(file, self.session.listener()),
            }
        }
        taken
    }

    fn take_archives(&mut self, files: &[PathBuf]) -> Result<()> {
        remove(&self.raw)?;
        fs::create_dir_all(&self.raw).map_err(cannot("make", &self.raw))?;
        for file in files {
            unpack(&self.session, self.asset, file, &self.raw)?;
        }
        let raw = self.raw.clone();
        self.take_folder(&raw)
    }

    /// Takes what is missing. What is right is kept even if that is not all.
    fn take_folder(&mut self, folder: &Path) -> Result<()> {
        let wrong;
        (self.missing, wrong) = self.asset.gather(&self.missing, folder, &self.ready)?;
        match (self.missing.is_empty(), wrong.is_empty()) {
            (true, _) => Ok(()),
            (false, false) => Err(Error::NotPublished { what: wrong.join("; ") }),
            (false, true) => Err(Error::Absent { names: self.names() }),
        }
    }

    fn take_users(&mut self, from: &Path) -> Result<()> {
        let taken = |source| Error::Taken { path: from.to_owned(), source: Box::new(source) };
        if from.is_dir() {
            return self.take_folder(from).map_err(taken);
        }
        fs::metadata(from).map_err(cannot("open", from))?;
        // One of the files itself, whatever it is called.
        let mut said = Vec::new();
        for (at, published) in self.missing.iter().enumerate() {
            match copy(published, from, &self.ready)? {
                Ok(()) => {
                    self.missing.remove(at);
                    return Ok(());
                }
                Err(what) => said.push(what),
            }
        }
        self.take_archives(&[from.to_path_buf()]).map_err(|source| {
            let source = Box::new(source);
            taken(Error::NeitherFileNorArchive { said: said.join("; "), source })
        })
    }

    fn names(&self) -> String {
        self.missing.iter().map(|file| file.name).collect::<Vec<_>>().join(", ")
    }
}

/// Moves every file of `ready` into the folder, one by one: whatever else is there stays.
fn install(ready: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(cannot("make", folder))?;
    for file in fs::read_dir(ready).map_err(cannot("read", ready))? {
        let file = file.map_err(cannot("read", ready))?;
        let target = folder.join(file.file_name());
        fs::rename(file.path(), &target).map_err(cannot("put in place", &target))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
