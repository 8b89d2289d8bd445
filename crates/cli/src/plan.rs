//! From description to plan: everything checked and resolved before anything runs, and printable.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use fewstep_data::Dataset;
use fewstep_distill::{Btd, Denoising, Tract};
use fewstep_models::Model;
use fewstep_schedules::{NoiseGrid, Phase, PhasePlan};
use fewstep_train::{ModelFile, Objective, Stage, StageStart, TrainPlan};
use sha2::{Digest, Sha256};

use crate::args::ConfigArgs;
use crate::config::{DistillObjective, PhaseChange, RunConfig, TEACHER_FROM};

/// Flat buffers of a distillation: student, two moments, inference average, self-teacher, teacher.
const BUFFERS: usize = 6;

/// A run, resolved.
pub(crate) struct Plan {
    pub(crate) config: RunConfig,
    pub(crate) model: Model,
    pub(crate) dataset: Arc<dyn Dataset>,
    /// sha256 of the data set's contents.
    pub(crate) dataset_digest: String,
    /// The grid of the first teacher, `T` steps.
    pub(crate) grid: NoiseGrid,
    pub(crate) phases: PhasePlan,
    pub(crate) training: TrainPlan,
    /// The teacher, when it is not trained here.
    pub(crate) teacher: Option<ModelFile>,
    /// Identifies all that decides the trained parameters.
    pub(crate) fingerprint: String,
}

/// The `plan` command.
pub(crate) fn run(args: &ConfigArgs) -> Result<ExitCode> {
    print(&Plan::resolve(crate::config::load(args)?)?);
    Ok(ExitCode::SUCCESS)
}

/// Prints a plan to stdout.
#[allow(clippy::print_stdout)] // the command's output
pub(crate) fn print(plan: &Plan) {
    println!("{plan}");
}

impl Plan {
    /// Checks a config as a whole and works out what it asks for.
    pub(crate) fn resolve(config: RunConfig) -> Result<Self> {
        if config.name.is_empty() || config.name.contains(['/', '\\']) || config.name.starts_with('.') {
            bail!("name: `{}` cannot be the name of a folder", config.name);
        }
        config.schedule.validate().context("schedule")?;
        config.distill.tract.weighting.validate().context("distill.tract.weighting")?;
        config.teacher.objective.weighting.validate().context("teacher.objective.weighting")?;
        let model = Model::new(config.model.clone())?;
        let dataset = open_dataset(&config, &model)?;
        let phases = PhasePlan::new(&config.distill.schedule).context("distill.schedule")?;
        let grid = config.schedule.grid(phases.steps()).context("distill.schedule")?;
        for &steps in &config.evaluation.student_steps {
            grid.every(steps).context("evaluation.student_steps")?;
        }
        for &steps in &config.evaluation.teacher_steps {
            config.schedule.grid(steps).context("evaluation.teacher_steps")?;
        }
        config.evaluation.validate()?;
        let teacher = config.teacher.from.as_deref().map(|path| load_teacher(path, &config)).transpose()?;
        let training = training_plan(&config, &phases, &grid, teacher.is_some())?;
        training.validate()?;
        let dataset_digest = dataset.digest().context("data")?;
        let fingerprint = fingerprint(&config, &dataset_digest, teacher.as_ref());
        Ok(Self { config, model, dataset, dataset_digest, grid, phases, training, teacher, fingerprint })
    }
}

fn fingerprint(config: &RunConfig, dataset_digest: &str, teacher: Option<&ModelFile>) -> String {
    let mut hash = Sha256::new();
    hash.update(config.training_part().to_string());
    hash.update(dataset_digest);
    if let Some(values) = teacher.and_then(|t| Vec::<f32>::try_from(&t.flat).ok()) {
        values.iter().for_each(|v| hash.update(v.to_le_bytes()));
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
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

fn load_teacher(path: &Path, config: &RunConfig) -> Result<ModelFile> {
    let file = ModelFile::load(path).context(TEACHER_FROM)?;
    if file.card.model != config.model {
        bail!(
            "teacher.from: {} holds another network than [model] describes: {} there, {} here",
            path.display(),
            serde_json::to_string(&file.card.model)?,
            serde_json::to_string(&config.model)?
        );
    }
    // The schedule of an imported model is this program's choice, not what it was trained on.
    if file.card.source.is_none() && file.card.schedule != config.schedule {
        bail!("teacher.from: {} was trained on another schedule than [schedule]", path.display());
    }
    Ok(file)
}

fn training_plan(
    config: &RunConfig,
    phases: &PhasePlan,
    grid: &NoiseGrid,
    have_teacher: bool,
) -> Result<TrainPlan> {
    let t = &config.training;
    let batch = t.batch.max(1) as u64;
    let mut stages = Vec::new();
    if !have_teacher {
        let c = &config.teacher;
        if c.samples == 0 {
            bail!("teacher.samples: must be at least 1 when no teacher.from is given");
        }
        let steps = c.samples.div_ceil(batch);
        stages.push(Stage {
            name: "teacher".into(),
            objective: Objective::Denoising(Denoising { schedule: config.schedule, config: c.objective }),
            start: StageStart::Fresh,
            steps,
            learning_rate: c.learning_rate,
            inference_decay: c.inference_decay.resolve(steps).context("teacher.inference_decay")?,
            self_teacher_decay: 0.0,
            dropout: c.dropout,
        });
    }
    let d = &config.distill;
    let n = phases.phases().len();
    let steps = d.samples.div_ceil(batch).div_ceil(n as u64);
    let self_decay = fewstep_schedules::Decay::Fixed(d.self_teacher_decay)
        .resolve(1)
        .context("distill.self_teacher_decay")?;
    for (k, phase) in phases.phases().iter().enumerate() {
        let first = k == 0;
        let carry_on = !first && d.phase_change == PhaseChange::CarryOn;
        stages.push(Stage {
            name: format!("phase {} of {n}: {} -> {}", k + 1, phase.teacher_steps(), phase.student_steps()),
            objective: objective(config, phase, grid)?,
            start: if carry_on { StageStart::CarryOn } else { StageStart::FromTeacher },
            steps,
            learning_rate: d.learning_rate,
            inference_decay: d.inference_decay.resolve(steps).context("distill.inference_decay")?,
            self_teacher_decay: self_decay,
            dropout: d.dropout,
        });
    }
    Ok(TrainPlan {
        seed: config.seed,
        batch: t.batch,
        micro_batch: t.micro_batch,
        flip: t.flip,
        adam: t.adam,
        gradient: t.gradient,
        stages,
        checkpoint_every: t.checkpoint_every,
    })
}

fn objective(config: &RunConfig, phase: &Phase, grid: &NoiseGrid) -> Result<Objective> {
    let (d, phase, grid) = (&config.distill, phase.clone(), grid.clone());
    match d.objective {
        DistillObjective::Tract => Ok(Objective::Tract { tract: Tract { grid, config: d.tract }, phase }),
        DistillObjective::Btd if Btd::fits(&phase) => {
            Ok(Objective::Btd { btd: Btd::new(grid, d.btd), phase })
        }
        DistillObjective::Btd => bail!(
            "distill.schedule: objective `btd` halves the steps in every phase, but one goes from {} to {}",
            phase.teacher_steps(),
            phase.student_steps()
        ),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, shape) = (self.model.n_params(), self.dataset.shape());
        writeln!(f, "run        {} (seed {})", self.config.name, self.config.seed)?;
        writeln!(
            f,
            "data       {}: {} images of {}x{}x{}",
            self.dataset.name(),
            self.dataset.len(),
            shape.c,
            shape.h,
            shape.w
        )?;
        writeln!(f, "network    {n} parameters, predicts {:?}", self.config.model.prediction)?;
        let megabytes = (n * 4 * BUFFERS) as f64 / 1e6;
        writeln!(
            f,
            "buffers    {megabytes:.1} MB (student, Adam, two averages, teacher); a checkpoint is as large"
        )?;
        let t = &self.training;
        writeln!(f, "batch      {} in micro-batches of {}", t.batch, t.micro_batch)?;
        if let Some(path) = &self.config.teacher.from {
            writeln!(f, "teacher    {}", path.display())?;
        }
        for (i, stage) in t.stages.iter().enumerate() {
            write!(
                f,
                "stage {}    {}: {} steps, {} samples, ",
                i + 1,
                stage.name,
                stage.steps,
                t.samples(i)
            )?;
            write!(f, "lr {:e}, mu_I {:.6}", stage.learning_rate.base, stage.inference_decay)?;
            if stage.objective.has_self_teacher() {
                write!(f, ", mu_S {}", stage.self_teacher_decay)?;
            }
            writeln!(f)?;
        }
        let e = &self.config.evaluation;
        let student = self.phases.final_steps();
        let nfe = (e.teacher_steps.iter().sum::<usize>() + student) as u64 * e.samples;
        writeln!(
            f,
            "evaluation {} samples each: student at {student} steps, teacher at {:?}",
            e.samples, e.teacher_steps
        )?;
        write!(f, "           {nfe} network evaluations")
    }
}
