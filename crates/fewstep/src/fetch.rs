//! Fetching what a run lacks in the cache: published data sets, and the weights that FID is measured with.

use std::path::Path;

use anyhow::{Context, Result};
use fewstep_data::DatasetSpec;
use fewstep_fetch::{Cache, Fetcher, Listener, Transfer, find};
use fewstep_files::published::PublishedSet;
use indicatif::MultiProgress;

use crate::evaluation::Features;
use crate::progress::TransferProgress;
use crate::session::Session;

/// Fetches what `command` would not find in the cache: of a data set, and of a feature space with the cache's weights. Silent
/// where all is there. Without a cache there is nothing to fetch into, and whoever reads from there says so.
///
/// # Errors
/// None of the sources has it: each is named, with what went wrong.
pub fn ensure(
    command: &str,
    spec: Option<&DatasetSpec>,
    features: Option<Features>,
    session: &Session,
) -> Result<()> {
    let Ok(cache) = Cache::locate() else { return Ok(()) };
    let listener = Log::new(session);
    for name in missing(cache.root(), spec, features) {
        let fetcher = Fetcher::new(cache.clone(), &listener);
        find(name).and_then(|asset| fetcher.get(asset)).with_context(|| format!("{command} needs {name}"))?;
    }
    Ok(())
}

/// The names of what is not in the cache.
fn missing(cache: &Path, spec: Option<&DatasetSpec>, features: Option<Features>) -> Vec<&'static str> {
    let data = spec.filter(|spec| spec.is_missing(cache)).map(DatasetSpec::name);
    let files = features.and_then(|features| features.space().published());
    let is_missing =
        |set: &&PublishedSet| set.files.iter().any(|f| !cache.join(set.name).join(f.name).exists());
    data.into_iter().chain(files.filter(is_missing).map(|set| set.name)).collect()
}

/// Hears of a fetch, and puts it into the log and onto the bars.
#[derive(Debug)]
pub struct Log<'a>(&'a MultiProgress);

impl<'a> Log<'a> {
    /// Those of a session.
    pub fn new(session: &'a Session) -> Self {
        Self(&session.bars)
    }
}

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
        let weights = fewstep_eval::Inception::weights_in(cache.path());
        std::fs::create_dir(weights.parent().unwrap()).unwrap();
        std::fs::write(weights, "").unwrap();
        assert_eq!(missing(&cifar, tf), [""; 0]);
    }
}
