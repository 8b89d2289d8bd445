//! From description to plan: everything checked and resolved before anything runs, and printable.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use fewstep_data::{Dataset, DatasetSpec};
use fewstep_files::Hasher;
use fewstep_models::Model;
use fewstep_samplers::Solver;
use fewstep_torch::raw_bytes;
use fewstep_train::{ModelCard, ModelFile, Origin, Role};

use crate::args::ConfigArgs;
use crate::config::{RunConfig, TEACHER_FROM};
use crate::evaluation::{class_counts, levels};
use crate::feasibility::warnings;
use crate::outline::Outline;
use crate::stdout::say;

/// A run, resolved: what follows from its config, its data, and its teacher.
pub(crate) struct Plan {
    pub(crate) outline: Outline,
    pub(crate) dataset: Arc<dyn Dataset>,
    /// sha256 of the data set's contents.
    pub(crate) dataset_digest: String,
    /// Images of each class of the data set; empty if it has none.
    pub(crate) class_counts: Vec<u64>,
    /// The teacher, when it is not trained here.
    pub(crate) teacher: Option<ModelFile>,
    /// Identifies all that decides the trained parameters.
    pub(crate) origin: Origin,
}

/// The `plan` command. Data and teacher need not be there: a plan is read before they are fetched.
pub(crate) fn run(args: &ConfigArgs) -> Result<ExitCode> {
    let outline = Outline::resolve(crate::config::load(args)?)?;
    let cache = fewstep_files::cache_folder();
    let data = match &outline.config.data {
        DatasetSpec::Images { path, .. } if !path.exists() => format!("{}, not there yet", path.display()),
        data if cache.as_deref().is_some_and(|cache| data.is_missing(cache)) => {
            format!("{}, not in the cache yet; `train` fetches it", data.name())
        }
        _ => told(&outline, open_dataset(&outline.config, &outline.model)?.as_ref()),
    };
    if let Some(path) = outline.config.teacher.from.as_deref().filter(|path| path.exists()) {
        load_teacher(path, &outline)?;
    }
    say(shown(&outline, &data))?;
    Ok(ExitCode::SUCCESS)
}

/// A plan and its data as a person reads them.
fn shown(outline: &Outline, data: &str) -> String {
    format!("{outline}\ndata       {data}")
}

/// A data set in words, and what cannot be measured with it.
fn told(outline: &Outline, dataset: &dyn Dataset) -> String {
    let shape = dataset.shape();
    let data = format!("{}: {} images of {}x{}x{}", dataset.name(), dataset.len(), shape.c, shape.h, shape.w);
    let warnings = warnings(&outline.config.evaluation, dataset.len() as u64);
    warnings.iter().fold(data, |text, warning| format!("{text}\nwarning    {warning}"))
}

impl Plan {
    /// Checks a config as a whole and works out what it asks for.
    pub(crate) fn resolve(config: RunConfig) -> Result<Self> {
        let outline = Outline::resolve(config)?;
        let config = &outline.config;
        let dataset = open_dataset(config, &outline.model)?;
        let teacher = config.teacher.from.as_deref().map(|path| load_teacher(path, &outline)).transpose()?;
        let dataset_digest = dataset.digest().context("data")?;
        let origin = origin(config, &dataset_digest, teacher.as_ref())?;
        let class_counts = class_counts(dataset.as_ref());
        Ok(Self { outline, dataset, dataset_digest, class_counts, teacher, origin })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.outline, &told(&self.outline, self.dataset.as_ref())))
    }
}

/// Names of what a run begins with.
const CONFIG: &str = "config";
const DATA: &str = "data set";
const TEACHER: &str = "teacher";

/// What a run of these begins with.
fn origin(config: &RunConfig, dataset_digest: &str, teacher: Option<&ModelFile>) -> Result<Origin> {
    let config = config.training_part()?.to_string();
    let values = teacher.map(|t| raw_bytes(&t.flat)).transpose()?.unwrap_or_default();
    let whole: [&[u8]; 3] = [config.as_bytes(), dataset_digest.as_bytes(), &values];
    let mut parts = vec![(CONFIG, digest(&[config.as_bytes()])), (DATA, dataset_digest.to_owned())];
    parts.extend(teacher.map(|_| (TEACHER, digest(&[&values]))));
    let parts = parts.into_iter().map(|(what, digest)| (what.to_owned(), digest)).collect();
    Ok(Origin { fingerprint: digest(&whole), parts })
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hasher = Hasher::default();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finish().hex()
}

/// What a checkpoint of another run means to a person, who may not have changed anything on purpose.
pub(crate) fn explained(error: fewstep_train::Error) -> anyhow::Error {
    let fewstep_train::Error::OtherRun { differences, .. } = &error else { return error.into() };
    let changed = |what: &str| differences.iter().any(|d| d.what == what);
    let cause = match (changed(DATA), changed(TEACHER)) {
        (true, true) => "the data and the teacher's file differ from those that this run began with",
        (true, false) => "the data differ from those that this run began with",
        (false, true) => "the teacher's file differs from the one that this run began with",
        (false, false) if changed(CONFIG) => "the config differs from the one that this run began with",
        // Configs were compared before.
        (false, false) => "the data or the teacher's file differ from those that this run began with",
    };
    let way_out = "Use another `name` (--set name=...), move the folder away, or bring back what was there";
    anyhow::anyhow!("{cause}: {error}. {way_out}")
}

fn open_dataset(config: &RunConfig, model: &Model) -> Result<Arc<dyn Dataset>> {
    let dataset = config.data.open(fewstep_files::cache_folder().as_deref()).context("data")?;
    crate::images::tell_classes(dataset.class_names());
    crate::images::warn_of(dataset.skipped());
    let [c, h, w] = config.model.image_shape();
    let shape = dataset.shape();
    let got = [shape.c as i64, shape.h as i64, shape.w as i64];
    if got != [c, h, w] {
        bail!(
            "model.network: takes images of {c}x{h}x{w}, but data `{}` has {}x{}x{} (channels, height, width)",
            dataset.name(),
            got[0],
            got[1],
            got[2]
        );
    }
    let (classes, have) = (model.config().n_classes(), dataset.n_classes());
    if classes != 0 && classes != have as i64 {
        bail!("model.network.n_classes: is {classes}, but data `{}` has {have} classes", dataset.name());
    }
    Ok(dataset)
}

fn load_teacher(path: &Path, outline: &Outline) -> Result<ModelFile> {
    let config = &outline.config;
    let file = ModelFile::load(path).context(TEACHER_FROM)?;
    if file.card.model != config.model {
        bail!(
            "teacher.from: {} holds another network than [model] describes: {} there, {} here",
            path.display(),
            serde_json::to_string(&file.card.model)?,
            serde_json::to_string(&config.model)?
        );
    }
    for &steps in &config.evaluation.teacher_steps {
        levels(&file.card, Some(steps)).context("evaluation.teacher_steps")?;
    }
    if file.card.role == Role::Student {
        student_teaches(path, &file.card, outline)?;
        return Ok(file);
    }
    // The schedule of an imported model is this program's choice, not what it was trained on.
    let may_differ = config.teacher.any_schedule || file.card.source.is_some();
    if !may_differ && file.card.schedule != config.schedule {
        bail!(
            "teacher.from: {} was trained on another schedule than [schedule]; teacher.any_schedule = true takes it all the same",
            path.display()
        );
    }
    Ok(file)
}

/// Passes when a student can be the first teacher: it was taught at its own levels only, and answers with jumps between them.
fn student_teaches(path: &Path, card: &ModelCard, outline: &Outline) -> Result<()> {
    let own = levels(card, None).with_context(|| path.display().to_string())?;
    if outline.grid != own {
        bail!(
            "teacher.from: {} is a student of {} steps and knows only their noise levels: distill.schedule must begin with \
             {1}, on the same levels, but has {} steps; or start from its own teacher",
            path.display(),
            own.steps(),
            outline.grid.steps()
        );
    }
    let (_, solver) = outline.config.distill.teacher_steps_by();
    if solver != Solver::Ddim {
        bail!(
            "distill.tract.solver: {solver:?} averages what a denoiser says, but {} is a student, which jumps; take ddim",
            path.display()
        );
    }
    Ok(())
}
