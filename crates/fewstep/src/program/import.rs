//! The `import` command: a model file from another program's file.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use fewstep_distill::Recipe;
use fewstep_files::Digest;
use fewstep_formats::{Checkpoint, Format, Value, read_checkpoint, read_edm_pickle_entry, sniff};
use fewstep_import::{Error, Hints, Recognised, Unsaid, recognise};
use fewstep_models::ddpm::Heads;
use fewstep_models::edm::Preconditioner;
use fewstep_samplers::{ImportedFrom, ModelCard, ModelFile, Role};
use fewstep_torch::Compute;

use super::args::ImportArgs;
use super::outputs::try_file;

/// The `import` command. The model file is written whole at the very end: what stops an import leaves nothing.
pub(crate) fn run(args: &ImportArgs) -> Result<ExitCode> {
    if same_file(&args.file, &args.out) {
        bail!("--out {}: is the file to import, which would be lost", args.out.display());
    }
    try_file("--out", &args.out)?;
    let bytes = fs_err::read(&args.file)?;
    let in_file = || args.file.display().to_string();
    let mut hints = hints(args)?;
    let checkpoint = read(&bytes, &mut hints).with_context(in_file)?;
    let digest = Digest::of(&bytes).hex();
    drop(bytes);
    let found = recognise(&checkpoint, &hints).map_err(with_flags).with_context(in_file)?;
    let network = found.config.build().with_context(in_file)?;
    let flat = found.parameters(network.as_ref()).with_context(in_file)?;
    let source = ImportedFrom {
        file: args.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        sha256: digest,
        entry: found.entry.clone(),
    };
    let card = card(args, &found, source)?;
    ModelFile::save(&args.out, &card, network.as_ref(), &flat)?;
    for note in &found.notes {
        tracing::warn!("{}: {note}", args.file.display());
    }
    tracing::info!("recognised {}", serde_json::to_string(&card.model)?);
    tracing::info!(
        "wrote {}: {} parameters, {} steps of {}",
        args.out.display(),
        network.n_params(),
        card.timesteps,
        serde_json::to_string(&card.schedule.without_lists())?
    );
    Ok(ExitCode::SUCCESS)
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((fs_err::canonicalize(a), fs_err::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

fn hints(args: &ImportArgs) -> Result<Hints> {
    let preconditioner = match (args.preconditioner, args.sigma_data) {
        (Some(Preconditioner::Edm { .. }), Some(sigma_data)) => Some(Preconditioner::Edm { sigma_data }),
        (Some(_), Some(_)) => bail!("--sigma-data: only `--preconditioner edm` has it"),
        (other, _) => other,
    };
    Ok(Hints {
        entry: args.entry.clone(),
        resolution: args.resolution,
        heads: args.heads.map(Heads::Count).or(args.head_channels.map(Heads::Width)),
        prediction: args.prediction,
        preconditioner,
        resample_filter: args.resample_filter.clone(),
    })
}

/// The file's contents. An EDM pickle has its entries above the networks, and is read for one of them.
fn read(bytes: &[u8], hints: &mut Hints) -> Result<Checkpoint> {
    let checkpoint = match (sniff(bytes)?, hints.entry.take()) {
        (Format::EdmPickle, Some(entry)) => read_edm_pickle_entry(bytes, &entry)?,
        (_, entry) => {
            hints.entry = entry;
            read_checkpoint(bytes)?
        }
    };
    if checkpoint.options.get("fewstep").and_then(Value::as_text).is_some() {
        bail!("is a model file of fewstep already, and can be used as it is");
    }
    Ok(checkpoint)
}

/// The error with the flags that answer what the file leaves open.
fn with_flags(error: Error) -> anyhow::Error {
    let Error::Unsaid { what } = &error else { return error.into() };
    let flags: Vec<&str> = what
        .iter()
        .map(|what| match what {
            Unsaid::Resolution => "--resolution N (height and width of the images)",
            Unsaid::Heads => "--heads N or --head-channels N (attention heads, or the channels of each)",
            Unsaid::Prediction => "--prediction x0, eps or v (what the network puts out)",
            Unsaid::Preconditioner => {
                "--preconditioner edm, vp, ve or iddpm (how the output becomes an image)"
            }
            Unsaid::ResampleFilter => "--resample-filter, such as 1,3,3,1 or 1,1 (its taps)",
        })
        .collect();
    anyhow::anyhow!("the file cannot say everything about its network; give {}", flags.join(", and "))
}

fn card(args: &ImportArgs, found: &Recognised<'_>, source: ImportedFrom) -> Result<ModelCard> {
    let recipe = Recipe::of(found.config.family());
    let schedule = args.schedule.clone().unwrap_or(recipe.schedule);
    let timesteps = args.timesteps.or(found.steps).unwrap_or(recipe.steps.min(schedule.most_steps()));
    let grid = schedule.grid(timesteps).with_context(|| match args.timesteps {
        Some(_) => "--timesteps".to_owned(),
        None => format!("`num_sample_steps` in {}", source.file),
    })?;
    if grid.last().alpha == 0.0 && !found.config.answers_noise_alone() {
        bail!(
            "--schedule: ends at noise alone (alpha = 0), of which this network says nothing: a prediction of noise and EDM's \
             preconditioning divide by alpha"
        );
    }
    // A network that was distilled knows the levels of its own steps only.
    let role = if found.steps.is_some() { Role::Student } else { Role::Teacher };
    Ok(ModelCard {
        format: 1,
        model: found.config.clone(),
        compute: Compute::F32,
        schedule,
        timesteps,
        visits: (0..=grid.steps()).collect(),
        clip: recipe.teacher_steps.clip,
        sampler: recipe.teacher_steps.solver.into(),
        inference_decay: None,
        dataset: "unknown".to_owned(),
        dataset_digest: String::new(),
        class_counts: Vec::new(),
        samples: 0,
        role,
        seed: 0,
        version: env!("CARGO_PKG_VERSION").into(),
        source: Some(source),
    })
}
