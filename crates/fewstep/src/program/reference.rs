//! The `reference` command: a data set's statistics, taken, kept and shown.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use fewstep_eval::ReferenceStats;

use super::Console;
use super::args::{FeatureArgs, ReferenceArgs};
use super::outputs::try_file;
use super::stdout::say;
use fewstep::evaluation::{FeatureOptions, Features, ReferenceSet, ReferenceSpec, extractor};
use fewstep::{fetch, images};

/// The `reference` command.
pub(crate) fn run(args: &ReferenceArgs, console: &Console) -> Result<ExitCode> {
    if let Some(path) = &args.show {
        say(ReferenceStats::open(path)?.record_json()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let name = args.dataset.dataset.as_deref().context("--dataset: name a data set, or a path to images")?;
    let spec = images::spec(name, args.dataset.split.as_deref(), args.skip_bad)?;
    let features = args.features.features.unwrap_or(Features::PytorchFid);
    let options = options(&args.features, features)?;
    if let Some(path) = &args.out {
        try_file("--out", path)?;
    }
    let weights = Some(features).filter(|_| args.features.weights.is_none());
    fetch::ensure("reference", Some(&spec), weights, &console.interruptible())?;
    let session = console.session()?;
    let (dataset, skipped) = images::open(&spec)?;
    let extractor = extractor(features.space(), dataset.shape(), &options)?;
    let spec = ReferenceSpec { extractor: &extractor, rows: args.rows };
    let made = ReferenceSet::of_dataset(dataset.as_ref(), spec, &session)?;
    if skipped > 0 {
        tracing::warn!("{skipped} files were left out of the reference");
    }
    let told = say(made.stats.record_json()?);
    if let Some(path) = &args.out {
        made.stats.save(path)?;
        tracing::info!("wrote {}", path.display());
    }
    told.map(|()| ExitCode::SUCCESS)
}

/// What the flags say of an extractor of these features.
pub(crate) fn options(args: &FeatureArgs, features: Features) -> Result<FeatureOptions> {
    let of_network = [("--weights", args.weights.is_some()), ("--replicate-grey", args.replicate_grey)];
    if let Some((flag, _)) =
        of_network.iter().find(|(_, given)| *given && features.space().published().is_none())
    {
        bail!("{flag}: features `{}` are taken without a network", features.name());
    }
    let grey = if args.replicate_grey { fewstep_eval::Grey::Replicate } else { fewstep_eval::Grey::Refuse };
    Ok(FeatureOptions { weights: args.weights.clone(), grey, device: args.device.resolve()? })
}
