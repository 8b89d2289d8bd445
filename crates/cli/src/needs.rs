//! What a command would find missing in the cache, for whoever fetches it before: one name a line on stdout.

use std::process::ExitCode;

use anyhow::Result;
use fewstep_data::DatasetSpec;
use fewstep_files::cache_folder;

use crate::evaluation::Features;
use crate::stdout::say;

/// Prints the names of what is missing of a data set and a feature space.
pub(crate) fn print(spec: Option<&DatasetSpec>, features: Option<Features>) -> Result<ExitCode> {
    let cache = cache_folder();
    if let (Some(spec), Some(cache)) = (spec, &cache)
        && spec.is_missing(cache)
    {
        say(spec.name())?;
    }
    if features.is_some_and(Features::need_weights) && !Features::weights_path(None)?.exists() {
        say("inception")?;
    }
    Ok(ExitCode::SUCCESS)
}
