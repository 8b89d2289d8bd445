//! The `fetch` command.

use std::process::ExitCode;

use anyhow::{Result, bail};
use fewstep::fetch::Log;
use fewstep_fetch::{Cache, Fetcher, find};

use super::Console;
use super::args::FetchArgs;
use super::stdout::say;

/// The `fetch` command: says where the files are; without a name, what there is.
pub(crate) fn run(args: &FetchArgs, console: &Console) -> Result<ExitCode> {
    if args.from.is_some() && args.names.len() != 1 {
        bail!("--from takes one thing from a place of your own: name that one");
    }
    let assets = args.names.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
    let session = console.interruptible();
    let listener = Log::new(&session);
    let fetcher = Fetcher::new(Cache::locate()?, &listener);
    if assets.is_empty() {
        say(fetcher.list().trim_end())?;
    }
    for asset in assets {
        let folder = match &args.from {
            Some(from) => fetcher.take(asset, from)?,
            None => fetcher.get(asset)?,
        };
        say(format!("{}: {}", asset.set.name, folder.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
