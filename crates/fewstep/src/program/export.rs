//! The `export` command: a model file as the files of another program.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use fewstep_eval::{Generated, Record};
use fewstep_export::{About, DiffusersPipeline, PytorchFolder};
use fewstep_samplers::ModelFile;

use super::args::{ExportArgs, ExportFormat};
use super::outputs::try_new;
use fewstep::evaluation::{digest_of, line, read_records};

/// Files beside a model file that may hold its numbers.
const RECORDS: [&str; 2] = ["results.json", "records.json"];

/// The `export` command. The folder is written whole or not at all.
pub(crate) fn run(args: &ExportArgs) -> Result<ExitCode> {
    try_new("--out", &args.out)?;
    let mut file = ModelFile::load(&args.model)?;
    file.card.sampler.keep_noise |= args.keep_noise;
    file.card.sampler.validate().context("--keep-noise")?;
    let name = args.name.clone().unwrap_or_else(|| {
        let absolute = std::path::absolute(&args.out).unwrap_or_else(|_| args.out.clone());
        absolute.file_name().unwrap_or_default().to_string_lossy().into_owned()
    });
    let numbers = numbers(&args.model, &file)?;
    let about = About { name, licence: args.licence.clone().or(file.card.licence.clone()), numbers };
    let in_file = || args.model.display().to_string();
    match args.format {
        ExportFormat::Diffusers => {
            DiffusersPipeline::of(&file).with_context(in_file)?.write(&args.out, &about)?;
        }
        ExportFormat::Torch => PytorchFolder::of(&file).with_context(in_file)?.write(&args.out, &about)?,
    }
    let steps = file.card.own_steps();
    tracing::info!(
        "wrote {}: {} parameters, {steps} step(s); its README.md says how it is called",
        args.out.display(),
        file.network.n_params()
    );
    if about.numbers.is_empty() {
        tracing::warn!(
            "no numbers of this model, sampled in this way, lie beside it: its model card has none"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The numbers that were measured of this model, sampled as it is exported.
fn numbers(model: &Path, file: &ModelFile) -> Result<Vec<String>> {
    let (own, sampler) = (digest_of(&file.flat)?, file.card.sampler.to_string());
    let (steps, one_step) = (file.card.own_steps(), file.card.own_steps() == 1);
    let is_own = |record: &Record| match &record.generated {
        // One step is the same whatever happens to noise between steps.
        Generated::Model { digest, sampler: walked, sampling_steps, .. } => {
            *digest == own && *sampling_steps as usize == steps && (one_step || *walked == sampler)
        }
        Generated::Images { .. } => false,
    };
    let mut lines = Vec::new();
    for path in RECORDS.iter().map(|name| model.with_file_name(name)).filter(|path| path.is_file()) {
        // What lies there may be another program's.
        let Ok(records) = read_records(&path) else { continue };
        lines.extend(records.iter().filter(|record| is_own(record)).map(line));
    }
    Ok(lines)
}
