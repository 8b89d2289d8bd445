//! Bringing an asset into the cache: what is missing, from where, and the moves that put it into place.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::published::{Asset, Published};
use super::source::Source;
use super::unpack::unpack;
use crate::cache::{Cache, Staging, discard};
use crate::clients::Session;

/// Puts an asset's files into the cache, unless they are there and right: those of `from`, a folder, file or archive
/// of the user's, or else of the first source that has them. `clients` is where clients are looked for if not in PATH.
pub(super) fn obtain(
    asset: &'static Asset,
    cache: &Cache,
    from: Option<&Path>,
    clients: Option<&Path>,
) -> Result<()> {
    let folder = cache.root().join(asset.name);
    if asset.missing(&folder)?.files.is_empty() {
        return Ok(());
    }
    let lock = cache.lock()?;
    // Another fetch may have brought it while this one waited.
    let missing = asset.missing(&folder)?;
    for (path, what) in &missing.wrong {
        eprintln!("fetch: {} is not the published file and will be replaced: {what}", path.display());
    }
    let staging = Staging::new(&folder)?;
    let mut work = Work {
        asset,
        session: Session::new(cache, &lock, clients),
        raw: staging.path().join("raw"),
        ready: staging.path().join("ready"),
        missing: missing.files,
    };
    fs::create_dir_all(&work.ready).with_context(|| format!("cannot make {}", work.ready.display()))?;
    // Packed or under other names the files may be there already.
    (work.missing, _) = asset.gather(&work.missing, &folder, &work.ready)?;
    match from {
        Some(from) => work.take_users(from)?,
        None => work.try_sources(),
    }
    if !work.missing.is_empty() {
        bail!(
            "{} could not be had ({} missing); `cargo xtask fetch {} --from PATH` takes it from a folder or archive \
             of your own",
            asset.name,
            work.names(),
            asset.name
        );
    }
    install(&work.ready, &folder)
}

/// A fetch under way.
struct Work<'a> {
    asset: &'static Asset,
    session: Session<'a>,
    /// What came out of archives.
    raw: PathBuf,
    /// Files that are right.
    ready: PathBuf,
    missing: Vec<&'static Published>,
}

impl Work<'_> {
    fn try_sources(&mut self) {
        for source in self.asset.sources {
            if self.missing.is_empty() {
                return;
            }
            eprintln!("fetch: {} from {}", self.asset.name, source.client);
            if let Err(error) = self.take_source(source) {
                eprintln!("fetch: {}: {error:#}", source.client);
            }
        }
    }

    /// A download that was of use is not needed any more, and one that was not would be of none the next time.
    fn take_source(&mut self, source: &Source) -> Result<()> {
        let downloads = source.download(&self.session, self.asset.name)?;
        let taken = self.take_archives(&downloads);
        for file in &downloads {
            match &taken {
                Ok(()) => {
                    fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))?
                }
                Err(_) => discard(file),
            }
        }
        taken
    }

    fn take_archives(&mut self, files: &[PathBuf]) -> Result<()> {
        crate::cache::remove(&self.raw)?;
        fs::create_dir_all(&self.raw).with_context(|| format!("cannot make {}", self.raw.display()))?;
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
        ensure!(wrong.is_empty() || self.missing.is_empty(), "{}", wrong.join("; "));
        ensure!(self.missing.is_empty(), "there is no {} in it", self.names());
        Ok(())
    }

    fn take_users(&mut self, from: &Path) -> Result<()> {
        let context = || format!("--from {}", from.display());
        if from.is_dir() {
            return self.take_folder(from).with_context(context);
        }
        ensure!(from.is_file(), "--from {}: there is no such file or folder", from.display());
        // One of the files itself, whatever it is called.
        let mut said = Vec::new();
        for (at, published) in self.missing.iter().enumerate() {
            match published.copy(from, &self.ready)? {
                Ok(()) => {
                    self.missing.remove(at);
                    return Ok(());
                }
                Err(what) => said.push(what),
            }
        }
        self.take_archives(&[from.to_path_buf()])
            .with_context(|| format!("it is not the published file ({})", said.join("; ")))
            .with_context(context)
    }

    fn names(&self) -> String {
        self.missing.iter().map(|file| file.name).collect::<Vec<_>>().join(", ")
    }
}

/// Moves every file of `ready` into the folder, one by one: whatever else is there stays.
fn install(ready: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for file in fs::read_dir(ready)? {
        let file = file?;
        let target = folder.join(file.file_name());
        fs::rename(file.path(), &target)
            .with_context(|| format!("cannot move {} into place", target.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
