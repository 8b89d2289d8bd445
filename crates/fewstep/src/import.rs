//! A model from a file or a folder of another program.

use std::path::Path;

use anyhow::{Context, Result, bail};
use fewstep_distill::Recipe;
use fewstep_files::Digest;
use fewstep_formats::{Checkpoint, Format, Value, read_checkpoint, read_edm_pickle_entry, sniff};
use fewstep_import::{Hints, Pipeline, Recognised, recognise};
use fewstep_models::unet2d::UNet2dConfig;
use fewstep_models::{Architecture, ModelConfig, TimeInput};
use fewstep_samplers::{ImportedFrom, ModelCard, ModelFile, Role, Sampler, Solver};
use fewstep_schedules::Schedule;

/// What a person says of a model that its files do not.
#[derive(Clone, Debug, Default)]
pub struct ImportRequest {
    /// What the files leave open.
    pub hints: Hints,
    /// Noise levels; `None`: those that the files say or that suit the network.
    pub schedule: Option<Schedule>,
    /// Steps of the grid that sampling walks; `None`: what the files say or suits the network.
    pub timesteps: Option<usize>,
}

/// An imported model.
#[derive(Debug)]
pub struct Imported {
    /// The model, as a model file has it.
    pub file: ModelFile,
    /// What was ignored or chosen, for a log.
    pub notes: Vec<String>,
}

/// Reads the model in a file, or in a folder of diffusers. A folder that `fewstep export` wrote is the model that was
/// exported.
///
/// # Errors
/// Files that cannot be read, hold no known network, or leave something open that the request does not say
/// ([`fewstep_import::Error::MissingHints`], at the end of the chain).
pub fn import(path: &Path, request: &ImportRequest) -> Result<Imported> {
    if path.is_dir() {
        return folder(path, request);
    }
    let bytes = fs_err::read(path)?;
    let in_file = || path.display().to_string();
    let mut hints = request.hints.clone();
    let checkpoint = read(&bytes, &mut hints).with_context(in_file)?;
    let digest = Digest::of(&bytes);
    drop(bytes);
    let found = recognise(&checkpoint, &hints).with_context(in_file)?;
    model(&found, path, digest, request).with_context(in_file)
}

fn folder(path: &Path, request: &ImportRequest) -> Result<Imported> {
    if let Some(file) = fewstep_export::read_back(path)? {
        let notes = vec!["was exported by fewstep, and is that model again".to_owned()];
        return Ok(Imported { file, notes });
    }
    let pipeline = Pipeline::read(path, request.hints.entry.as_deref())?;
    let in_folder = || path.display().to_string();
    let found = pipeline.recognise(&request.hints).with_context(in_folder)?;
    // The digest of a folder is that of its files' digests, each with its name, in order.
    let mut lines = String::new();
    for file in pipeline.files() {
        let name = file.strip_prefix(path).unwrap_or(file);
        lines += &format!("{}  {}\n", Digest::of_file(file)?.hex(), name.display());
    }
    let mut imported = model(&found, path, Digest::of(lines.as_bytes()), request).with_context(in_folder)?;
    imported.file.card.licence = pipeline.licence().map(str::to_owned);
    Ok(imported)
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

fn model(found: &Recognised<'_>, path: &Path, digest: Digest, request: &ImportRequest) -> Result<Imported> {
    let network = found.config.build()?;
    let flat = found.parameters(network.as_ref())?;
    let absolute = std::path::absolute(path)?;
    let source = ImportedFrom {
        file: absolute.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        sha256: digest.hex(),
        entry: found.entry.clone(),
    };
    let card = card(found, source, request)?;
    Ok(Imported { file: ModelFile { card, network, flat }, notes: found.notes.clone() })
}

fn card(found: &Recognised<'_>, source: ImportedFrom, request: &ImportRequest) -> Result<ModelCard> {
    let recipe = Recipe::of(found.config.family());
    let schedule = request.schedule.clone().unwrap_or(recipe.schedule);
    let timesteps = request.timesteps.or(found.steps).unwrap_or(recipe.steps.min(schedule.most_steps()));
    let grid = schedule.grid(timesteps).with_context(|| match request.timesteps {
        Some(_) => "--timesteps".to_owned(),
        None => format!("`num_sample_steps` in {}", source.file),
    })?;
    if request.schedule.is_some() && grid.last().alpha == 0.0 && !found.config.answers_noise_alone() {
        bail!(
            "--schedule: ends at noise alone (alpha = 0), of which this network says nothing: a prediction of noise and EDM's \
             preconditioning divide by alpha"
        );
    }
    let solver = recipe.teacher_steps.solver;
    let sampling = found.sampling.unwrap_or_default();
    // A network that was distilled knows the levels of its own steps only. A consistency model answers at every level with
    // where the path through it ends: it takes the whole way in one step.
    let (role, visits, solver) = match (is_consistency_model(&found.config), found.steps) {
        (true, _) => (Role::Student, vec![0, grid.steps()], Solver::Ddim),
        (_, Some(_)) => (Role::Student, (0..=grid.steps()).collect(), solver),
        (_, None) => (Role::Teacher, (0..=grid.steps()).collect(), solver),
    };
    Ok(ModelCard {
        clip: sampling.clip.unwrap_or(recipe.teacher_steps.clip),
        sampler: Sampler { keep_noise: sampling.keep_noise, ..solver.into() },
        source: Some(source),
        ..ModelCard::new(found.config.clone(), schedule, timesteps, visits, role)
    })
}

/// Whether the network is a consistency model: at its least noise it answers with the state.
fn is_consistency_model(config: &ModelConfig) -> bool {
    let Architecture::UNet2d(UNet2dConfig { time: TimeInput::Edm { boundary, .. }, .. }) = &config.network
    else {
        return false;
    };
    *boundary > 0.0
}
