//! The `fetch` command, and fetching what another command lacks in the cache.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use fewstep_data::DatasetSpec;
use fewstep_fetch::{Cache, Fetcher, Listener, Transfer, find};
use fewstep_files::published::INCEPTION;
use indicatif::MultiProgress;

use crate::args::FetchArgs;
use crate::evaluation::Features;
use crate::progress::TransferProgress;
use crate::stdout::say;

/// The `fetch` command: says where the files are; without a name, what there is.
pub(crate) fn run(args: &FetchArgs, bars: &MultiProgress) -> Result<ExitCode> {
    if args.from.is_some() && args.names.len() != 1 {
        bail!("--from takes one thing from a place of your own: name that one");
    }
    let assets = args.names.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
    let listener = Log(bars);
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

/// Fetches what `command` would not find in the cache: of a data set, and of a feature space with the cache's weights. Silent
/// where all is there. Without a cache there is nothing to fetch into, and whoever reads from there says so.
pub(crate) fn ensure(
    command: &str,
    spec: Option<&DatasetSpec>,
    features: Option<Features>,
    bars: &MultiProgress,
) -> Result<()> {
    let Ok(cache) = Cache::locate() else { return Ok(()) };
    let listener = Log(bars);
    for name in missing(cache.root(), spec, features) {
        let fetcher = Fetcher::new(cache.clone(), &listener);
        find(name).and_then(|asset| fetcher.get(asset)).with_context(|| format!("{command} needs {name}"))?;
    }
    Ok(())
}

/// The names of what is not in the cache.
fn missing(cache: &Path, spec: Option<&DatasetSpec>, features: Option<Features>) -> Vec<&'static str> {
    let data = spec.filter(|spec| spec.is_missing(cache)).map(DatasetSpec::name);
    let weights =
        features.filter(|features| features.need_weights() && !Features::weights_in(cache).exists());
    data.into_iter().chain(weights.map(|_| INCEPTION.name)).collect()
}

/// The log and the bars.
struct Log<'a>(&'a MultiProgress);

impl Listener for Log<'_> {
    fn info(&self, line: &str) {
        tracing::info!("{line}");
    }

    fn warn(&self, line: &str) {
        tracing::warn!("{line}");
    }

    fn transfer(&self, what: &str, total: Option<u64>) -> Box<dyn Transfer> {
        Box::new(TransferProgress::new(self.0, what, total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_data::FolderSpec;

    #[test]
    fn missing_is_what_a_command_reads_from_the_cache_and_is_not_there() {
        let cache = tempfile::tempdir().unwrap();
        let missing = |spec: &DatasetSpec, features| missing(cache.path(), Some(spec), features);
        let cifar = DatasetSpec::Cifar10(FolderSpec::default());
        let own = DatasetSpec::Cifar10(FolderSpec { path: Some("mine".into()), ..FolderSpec::default() });
        let (tf, pixels) = (Some(Features::Tf), Some(Features::Pixels));
        assert_eq!(missing(&cifar, tf), ["cifar10", "inception"]);
        assert_eq!(missing(&cifar, None), ["cifar10"]);
        assert_eq!(missing(&DatasetSpec::Digits {}, Some(Features::PytorchFid)), ["inception"]);
        for (spec, features) in [(&own, pixels), (&DatasetSpec::Digits {}, None)] {
            assert_eq!(missing(spec, features), [""; 0]);
        }
        std::fs::create_dir(cache.path().join("cifar10")).unwrap();
        assert_eq!(missing(&cifar, tf), ["inception"]);
        let weights = Features::weights_in(cache.path());
        std::fs::create_dir(weights.parent().unwrap()).unwrap();
        std::fs::write(weights, "").unwrap();
        assert_eq!(missing(&cifar, tf), [""; 0]);
    }
}
