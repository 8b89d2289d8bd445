//! `fetch`: published data sets and weights into the cache that checkouts share, without a libtorch.

use std::path::PathBuf;

use anyhow::Result;
use fewstep_fetch::{Cache, Fetcher, find};

use crate::terminal::Terminal;

/// The arguments of `fetch`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Request {
    pub(crate) names: Vec<String>,
    /// The user's own folder or file, instead of the sources.
    pub(crate) from: Option<PathBuf>,
}

/// The command: fetches, and says where the files are. Without a name it lists what there is.
pub(crate) fn run(request: &Request) -> Result<()> {
    let assets = request.names.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
    let fetcher = fetcher()?;
    if assets.is_empty() {
        print!("{}", fetcher.list());
    }
    for asset in assets {
        let folder = match &request.from {
            Some(from) => fetcher.take(asset, from)?,
            None => fetcher.get(asset)?,
        };
        println!("{}: {}", asset.set.name, folder.display());
    }
    Ok(())
}

/// For the commands that need an asset: silent when it is there. Gives the folder.
pub(crate) fn ensure(name: &str) -> Result<PathBuf> {
    Ok(fetcher()?.get(find(name)?)?)
}

fn fetcher() -> Result<Fetcher<'static>> {
    Ok(Fetcher::new(Cache::locate()?, &Terminal).with_command("cargo xtask"))
}
