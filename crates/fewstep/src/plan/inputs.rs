//! What a run takes in beside its config: data, and a teacher from a file.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use fewstep_data::{Dataset, DatasetSpec};
use fewstep_files::{Digest, Hasher, cache_folder};
use fewstep_models::{ModelConfig, Network};
use fewstep_samplers::{ModelCard, ModelFile, Role, Solver};
use fewstep_torch::{digest_of_values, hash_values};
use fewstep_train::{Origin, Stage};

use super::Setup;
use crate::config::{RunConfig, TEACHER_FROM};
use crate::evaluation::class_counts;
use crate::feasibility::warnings;

/// A run, resolved: its plan, its data, and its teacher.
pub struct Run {
    /// What follows from the config alone.
    pub setup: Setup,
    /// The data set.
    pub dataset: Arc<dyn Dataset>,
    /// sha256 of the data set's contents.
    pub dataset_digest: String,
    /// Images of each class of the data set; empty if it has none.
    pub class_counts: Vec<u64>,
    /// The teacher, when it is not trained here.
    pub teacher: Option<ModelFile>,
    /// Identifies all that decides the trained parameters.
    pub origin: Origin,
}

impl Run {
    /// Opens what a config names, and checks that it fits together.
    ///
    /// # Errors
    /// Those of [`Setup::new`]; data or a teacher that cannot be read, or that do not fit.
    pub fn new(config: RunConfig) -> Result<Self> {
        let setup = Setup::new(config)?;
        let config = &setup.config;
        let dataset = open_dataset(config, setup.teacher().as_ref())?;
        let teacher = config.teacher.from.as_deref().map(|path| load_teacher(path, &setup)).transpose()?;
        let dataset_digest = dataset.digest().context("data")?;
        let origin = origin(config, &dataset_digest, teacher.as_ref())?;
        let class_counts = class_counts(dataset.as_ref());
        Ok(Self { setup, dataset, dataset_digest, class_counts, teacher, origin })
    }

    /// The card of the model that a stage leaves, stage `index` of the plan.
    pub(crate) fn card(&self, stage: &Stage, index: usize) -> Result<ModelCard> {
        let (config, plan, makes) = (&self.setup.config, &self.setup.plan, &stage.makes);
        let model = ModelConfig::of(stage.network.as_ref())?;
        let class_counts = if model.n_classes() > 0 { self.class_counts.clone() } else { Vec::new() };
        Ok(ModelCard {
            format: 1,
            model,
            compute: config.compute.sampling,
            schedule: config.schedule.clone(),
            timesteps: self.setup.grid.steps(),
            visits: makes.visits.clone(),
            clip: makes.clip,
            sampler: makes.sampler,
            inference_decay: Some(stage.inference_decay),
            dataset: self.dataset.name().to_owned(),
            dataset_digest: self.dataset_digest.clone(),
            class_counts,
            samples: plan.samples_before(index) + plan.samples(index),
            role: makes.role,
            seed: config.seed,
            version: env!("CARGO_PKG_VERSION").into(),
            source: None,
            licence: self.teacher.as_ref().and_then(|teacher| teacher.card.licence.clone()),
        })
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\ndata       {}", self.setup, self.setup.describe_data(self.dataset.as_ref()))
    }
}

impl Setup {
    /// The setup and what is known of its data, as a person reads them. Data and teacher need not be there: a plan is read
    /// before they are fetched.
    ///
    /// # Errors
    /// Data or a teacher that are there, and cannot be read or do not fit.
    pub fn preview(&self) -> Result<String> {
        let cache = cache_folder();
        let data = match &self.config.data {
            DatasetSpec::Images { path, .. } if !path.exists() => {
                format!("{}, not there yet", path.display())
            }
            data if cache.as_deref().is_some_and(|cache| data.is_missing(cache)) => {
                format!("{}, not in the cache yet; `train` fetches it", data.name())
            }
            _ => self.describe_data(open_dataset(&self.config, self.teacher().as_ref())?.as_ref()),
        };
        if let Some(path) = self.config.teacher.from.as_deref().filter(|path| path.exists()) {
            load_teacher(path, self)?;
        }
        Ok(format!("{self}\ndata       {data}"))
    }

    /// A data set in words, and what cannot be measured with it.
    fn describe_data(&self, dataset: &dyn Dataset) -> String {
        let (name, n, shape) = (dataset.name(), dataset.len(), dataset.shape());
        let data = format!("{name}: {n} images of {}x{}x{}", shape.c, shape.h, shape.w);
        let warnings = warnings(&self.config.evaluation, n as u64);
        warnings.iter().fold(data, |text, warning| format!("{text}\nwarning    {warning}"))
    }
}

/// Names of what a run begins with.
const CONFIG: &str = "config";
const DATA: &str = "data set";
const TEACHER: &str = "teacher";

/// What a run of these begins with.
fn origin(config: &RunConfig, dataset_digest: &str, teacher: Option<&ModelFile>) -> Result<Origin> {
    let config = config.training_part()?.to_string();
    let mut whole = Hasher::default();
    whole.update(config.as_bytes());
    whole.update(dataset_digest.as_bytes());
    let mut parts = vec![(CONFIG, Digest::of(config.as_bytes()).hex()), (DATA, dataset_digest.to_owned())];
    if let Some(teacher) = teacher {
        hash_values(&teacher.flat, &mut whole)?;
        parts.push((TEACHER, digest_of_values(&teacher.flat)?.hex()));
    }
    let parts = parts.into_iter().map(|(what, digest)| (what.to_owned(), digest)).collect();
    Ok(Origin { fingerprint: whole.finish().hex(), parts })
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

fn open_dataset(config: &RunConfig, network: &dyn Network) -> Result<Arc<dyn Dataset>> {
    let dataset = config.data.open(cache_folder().as_deref()).context("data")?;
    crate::images::tell_classes(dataset.class_names());
    crate::images::warn_of(dataset.skipped());
    let [c, h, w] = network.image_shape();
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
    let (classes, have) = (network.n_classes(), dataset.n_classes());
    if classes != 0 && classes != have as i64 {
        bail!("model.network.n_classes: is {classes}, but data `{}` has {have} classes", dataset.name());
    }
    Ok(dataset)
}

fn load_teacher(path: &Path, setup: &Setup) -> Result<ModelFile> {
    let config = &setup.config;
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
        file.card.levels(Some(steps)).context("evaluation.teacher_steps")?;
    }
    if file.card.role == Role::Student {
        student_teaches(path, &file.card, setup)?;
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
fn student_teaches(path: &Path, card: &ModelCard, setup: &Setup) -> Result<()> {
    let own = card.levels(None).with_context(|| path.display().to_string())?;
    if setup.grid != own {
        bail!(
            "teacher.from: {} is a student of {} steps and knows only their noise levels: distill.schedule must begin with \
             {1}, on the same levels, but has {} steps; or start from its own teacher",
            path.display(),
            own.steps(),
            setup.grid.steps()
        );
    }
    let solver = setup.config.distill.teacher_steps().solver;
    if solver != Solver::Ddim {
        bail!(
            "distill.tract.solver: {solver:?} averages what a denoiser says, but {} is a student, which jumps; take ddim",
            path.display()
        );
    }
    Ok(())
}
