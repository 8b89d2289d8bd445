//! The `reference` command: a data set's statistics, taken, kept and shown.

use std::process::ExitCode;

use anyhow::{Context, Result};
use fewstep_eval::ReferenceStats;
use indicatif::MultiProgress;

use crate::args::{FeatureArgs, ReferenceArgs};
use crate::evaluation::{FeatureOptions, Features, ReferenceSet, Wanted};
use crate::signals::stop_flag;
use crate::{images, needs};

/// The `reference` command.
pub(crate) fn run(args: &ReferenceArgs, bars: &MultiProgress) -> Result<ExitCode> {
    if let Some(path) = &args.show {
        show(&ReferenceStats::open(path)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let name = args.dataset.dataset.as_deref().context("--dataset: name a data set, or a path to images")?;
    let spec = images::spec(name, &args.dataset.split, args.skip_bad)?;
    let features = args.features.features.unwrap_or(Features::PytorchFid);
    if args.needs {
        return needs::print(Some(&spec), Some(features).filter(|_| args.features.weights.is_none()));
    }
    let stop = stop_flag()?;
    let (dataset, skipped) = images::open(&spec)?;
    let extractor = features.extractor(dataset.shape(), &options(&args.features)?)?;
    let wanted = Wanted { features, extractor: &extractor, rows: args.rows };
    let made = ReferenceSet::of_dataset(dataset.as_ref(), wanted, bars, &stop)?;
    if skipped > 0 {
        tracing::warn!("{skipped} files were left out of the reference");
    }
    if let Some(path) = &args.out {
        made.stats.save(path)?;
        tracing::info!("wrote {}", path.display());
    }
    show(&made.stats)?;
    Ok(ExitCode::SUCCESS)
}

/// What the flags say of an extractor.
pub(crate) fn options(args: &FeatureArgs) -> Result<FeatureOptions> {
    let grey = if args.replicate_grey { fewstep_eval::Grey::Replicate } else { fewstep_eval::Grey::Refuse };
    Ok(FeatureOptions { weights: args.weights.clone(), grey, device: args.device.resolve()? })
}

/// The record, on stdout.
#[allow(clippy::print_stdout)] // the command's output
fn show(stats: &ReferenceStats) -> Result<()> {
    println!("{}", stats.record_json()?);
    Ok(())
}
