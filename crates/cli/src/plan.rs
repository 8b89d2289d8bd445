//! From description to plan: everything checked and resolved before anything runs, and printable.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use fewstep_data::{Dataset, DatasetSpec};
use fewstep_models::Model;
use fewstep_samplers::Solver;
use fewstep_torch::raw_bytes;
use fewstep_train::{ModelCard, ModelFile, Role};
use sha2::{Digest, Sha256};

use crate::args::ConfigArgs;
use crate::config::{RunConfig, TEACHER_FROM};
use crate::evaluation::levels;
use crate::outline::Outline;

/// A run, resolved: what follows from its config, its data, and its teacher.
pub(crate) struct Plan {
    pub(crate) outline: Outline,
    pub(crate) dataset: Arc<dyn Dataset>,
    /// sha256 of the data set's contents.
    pub(crate) dataset_digest: String,
    /// The teacher, when it is not trained here.
    pub(crate) teacher: Option<ModelFile>,
    /// Identifies all that decides the trained parameters.
    pub(crate) fingerprint: String,
}

/// The `plan` command. Data and teacher need not be there: a plan is read before they are fetched.
pub(crate) fn run(args: &ConfigArgs) -> Result<ExitCode> {
    let outline = Outline::resolve(crate::config::load(args)?)?;
    let cache = fewstep_data::cache_folder();
    let data = match &outline.config.data {
        DatasetSpec::Images { path, .. } if !path.exists() => format!("{}, not there yet", path.display()),
        data if cache.as_deref().is_some_and(|cache| data.is_missing(cache)) => {
            format!("{}, not in the cache yet: `cargo xtask fetch {0}`", data.name())
        }
        _ => told(open_dataset(&outline.config, &outline.model)?.as_ref()),
    };
    if let Some(path) = outline.config.teacher.from.as_deref().filter(|path| path.exists()) {
        load_teacher(path, &outline)?;
    }
    print(&shown(&outline, &data));
    Ok(ExitCode::SUCCESS)
}

/// A plan and its data as a person reads them.
fn shown(outline: &Outline, data: &str) -> String {
    format!("{outline}\ndata       {data}")
}

/// Prints a plan to stdout.
#[allow(clippy::print_stdout)] // the command's output
pub(crate) fn print(plan: &str) {
    println!("{plan}");
}

/// A data set in words.
fn told(dataset: &dyn Dataset) -> String {
    let shape = dataset.shape();
    format!("{}: {} images of {}x{}x{}", dataset.name(), dataset.len(), shape.c, shape.h, shape.w)
}

impl Plan {
    /// Checks a config as a whole and works out what it asks for.
    pub(crate) fn resolve(config: RunConfig) -> Result<Self> {
        let outline = Outline::resolve(config)?;
        let config = &outline.config;
        let dataset = open_dataset(config, &outline.model)?;
        let teacher = config.teacher.from.as_deref().map(|path| load_teacher(path, &outline)).transpose()?;
        let dataset_digest = dataset.digest().context("data")?;
        let fingerprint = fingerprint(config, &dataset_digest, teacher.as_ref())?;
        Ok(Self { outline, dataset, dataset_digest, teacher, fingerprint })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.outline, &told(self.dataset.as_ref())))
    }
}

fn fingerprint(config: &RunConfig, dataset_digest: &str, teacher: Option<&ModelFile>) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(config.training_part().to_string());
    hash.update(dataset_digest);
    if let Some(teacher) = teacher {
        hash.update(raw_bytes(&teacher.flat)?);
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

fn open_dataset(config: &RunConfig, model: &Model) -> Result<Arc<dyn Dataset>> {
    let dataset = config.data.open(fewstep_data::cache_folder().as_deref()).context("data")?;
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
