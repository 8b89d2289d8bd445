//! `fetch`: data sets and weights, into the cache that checkouts share. Sources are tried in order. What arrives is
//! checked by digest beside its place and moved there file by file, so that a file in place is a right one, however a
//! fetch ended; the next goes on with what is still missing.

mod asset;
mod cifar;
mod obtain;
mod published;
mod source;
mod unpack;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::cache::Cache;
use crate::nearest::nearest;
use obtain::obtain;
use published::{ASSETS, Asset};

/// The arguments of `fetch`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Request {
    pub(crate) names: Vec<String>,
    /// The user's own folder or file, instead of the sources.
    pub(crate) from: Option<PathBuf>,
}

/// The command: fetches, and says where the files are. Without a name it lists what there is.
pub(crate) fn run(request: &Request) -> Result<()> {
    let assets = request.names.iter().map(|name| find(name)).collect::<Result<Vec<_>>>()?;
    let cache = Cache::locate()?;
    if assets.is_empty() {
        print!("{}", list(&cache));
    }
    for asset in assets {
        obtain(asset, &cache, request.from.as_deref(), None)?;
        println!("{}: {}", asset.name, cache.root().join(asset.name).display());
    }
    Ok(())
}

/// For the commands that need an asset: silent when it is there. Gives the folder.
pub(crate) fn ensure(name: &str) -> Result<PathBuf> {
    let cache = Cache::locate()?;
    obtain(find(name)?, &cache, None, None)?;
    Ok(cache.root().join(name))
}

pub(crate) fn is_known(name: &str) -> bool {
    ASSETS.iter().any(|asset| asset.name == name)
}

fn find(name: &str) -> Result<&'static Asset> {
    let names = ASSETS.map(|asset| asset.name);
    match (ASSETS.into_iter().find(|asset| asset.name == name), nearest(name, &names)) {
        (Some(asset), _) => Ok(asset),
        (None, Some(known)) => bail!("nothing is called `{name}`; did you mean `{known}`?"),
        (None, None) => bail!("nothing is called `{name}`; there is {}", names.join(", ")),
    }
}

fn list(cache: &Cache) -> String {
    let mut text = format!("cargo xtask fetch NAME... puts into {}:\n\n", cache.root().display());
    for asset in ASSETS {
        let folder = cache.root().join(asset.name);
        let there = asset.files.iter().all(|file| folder.join(file.name).exists());
        let there = if there { ", is there" } else { "" };
        let sources: Vec<_> = asset.sources.iter().map(|source| source.client.to_string()).collect();
        text +=
            &format!("  {:14} {}{there}\n{:17}from {}\n", asset.name, asset.about, "", sources.join(", or "));
    }
    text + "\n`--from PATH` takes a folder, file or archive of your own instead.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_names_the_nearest_or_all() {
        assert!(find("cifar-10").unwrap_err().to_string().contains("did you mean `cifar10`"));
        assert!(find("fashion_mnist").unwrap_err().to_string().contains("did you mean `fashion-mnist`"));
        let far = find("imagenet-1000").unwrap_err().to_string();
        assert!(far.contains("there is cifar10, inception, mnist, fashion-mnist"), "{far}");
        assert!(is_known("inception") && !is_known("Usage: fewstep"));
    }

    #[test]
    fn the_list_tells_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        assert!(!list(&cache).contains("is there"));
        std::fs::create_dir(folder.path().join("inception")).unwrap();
        std::fs::write(folder.path().join("inception/inception-2015-12-05.pt"), "").unwrap();
        let text = list(&cache);
        assert_eq!(text.matches("is there").count(), 1, "{text}");
        assert!(ASSETS.iter().all(|asset| text.contains(asset.name)), "{text}");
    }
}
