//! What follows from a config alone, without data and teacher: stages, steps, rates, sizes.

use std::fmt;

use anyhow::{Context, Result, bail};
use fewstep_distill::{Btd, Denoising, Tract};
use fewstep_models::{Model, ModelConfig};
use fewstep_schedules::{NoiseGrid, Phase, PhasePlan};
use fewstep_train::{Networks, Objective, Stage, StageStart, TrainPlan};

use crate::config::{DistillObjective, PhaseChange, RunConfig, StudentConfig, StudentStart};

/// Flat buffers of the student's size that a checkpoint of a distillation holds: student, Adam's two moments, inference
/// average, self-teacher. The teacher is one more of its own size.
const OF_STUDENT: usize = 5;

/// A config, checked as a whole and resolved.
pub(crate) struct Outline {
    pub(crate) config: RunConfig,
    pub(crate) model: Model,
    /// The student's, if it is another.
    other: Option<Model>,
    /// The grid of the first teacher, `T` steps.
    pub(crate) grid: NoiseGrid,
    pub(crate) phases: PhasePlan,
    pub(crate) training: TrainPlan,
}

impl Outline {
    /// Checks a config as a whole and works out what it asks for.
    pub(crate) fn resolve(config: RunConfig) -> Result<Self> {
        if config.name.is_empty() || config.name.contains(['/', '\\']) || config.name.starts_with('.') {
            bail!("name: `{}` cannot be the name of a folder", config.name);
        }
        config.schedule.validate().context("schedule")?;
        config.distill.tract.weighting.validate().context("distill.tract.weighting")?;
        config.teacher.objective.weighting.validate().context("teacher.objective.weighting")?;
        let model = Model::new(config.model.clone())?;
        let other = config.student.as_ref().map(|student| other_student(student, &model)).transpose()?;
        let phases = PhasePlan::new(&config.distill.schedule).context("distill.schedule")?;
        let grid = config.schedule.grid(phases.steps()).context("distill.schedule")?;
        for &steps in &config.evaluation.student_steps {
            grid.every(steps).context("evaluation.student_steps")?;
        }
        for &steps in &config.evaluation.teacher_steps {
            config.schedule.grid(steps).context("evaluation.teacher_steps")?;
        }
        config.evaluation.validate()?;
        let training = training_plan(&config, &phases, &grid)?;
        training.validate()?;
        Ok(Self { config, model, other, grid, phases, training })
    }

    /// The student's network.
    pub(crate) fn student(&self) -> &Model {
        self.other.as_ref().unwrap_or(&self.model)
    }

    /// The networks of every stage.
    pub(crate) fn networks(&self) -> Networks<'_> {
        Networks::of(&self.training, &self.model, self.student())
    }

    /// Network evaluations of the measurements at the end.
    fn evaluations(&self) -> u64 {
        let e = &self.config.evaluation;
        let teacher: usize = match e.teacher_steps.as_slice() {
            [] => self.grid.steps(),
            steps => steps.iter().sum(),
        };
        let student = self.phases.final_steps() + e.student_steps.iter().sum::<usize>();
        (teacher + student) as u64 * e.samples
    }
}

/// The network of `[student]`.
fn other_student(student: &StudentConfig, teacher: &Model) -> Result<Model> {
    let config = ModelConfig { network: student.network.clone(), prediction: student.prediction };
    let model = Model::new(config).context("student")?;
    let (own, theirs) = (model.config(), teacher.config());
    if own.image_shape() != theirs.image_shape() {
        bail!(
            "student.network: makes images of {:?}, the teacher of {:?} (channels, height, width)",
            own.image_shape(),
            theirs.image_shape()
        );
    }
    if own.n_classes() != 0 && own.n_classes() != theirs.n_classes() {
        bail!("student.network.n_classes: is {}, the teacher's {}", own.n_classes(), theirs.n_classes());
    }
    Ok(model)
}

fn training_plan(config: &RunConfig, phases: &PhasePlan, grid: &NoiseGrid) -> Result<TrainPlan> {
    let t = &config.training;
    let batch = t.batch.max(1) as u64;
    let mut stages = Vec::new();
    if config.teacher.from.is_none() {
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
        let start = match &config.student {
            Some(student) if first => {
                StageStart::NewStudent { from_teacher: student.start == StudentStart::Matching }
            }
            _ if carry_on => StageStart::CarryOn,
            _ => StageStart::FromTeacher,
        };
        stages.push(Stage {
            name: format!("phase {} of {n}: {} -> {}", k + 1, phase.teacher_steps(), phase.student_steps()),
            objective: objective(config, phase, grid)?,
            start,
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

impl fmt::Display for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.model.n_params();
        writeln!(f, "run        {} (seed {})", self.config.name, self.config.seed)?;
        writeln!(f, "network    {n} parameters, predicts {:?}", self.config.model.prediction)?;
        if let Some(student) = &self.other {
            let (own, p) = (student.n_params(), student.config().prediction);
            writeln!(
                f,
                "student    {own} parameters, predicts {p:?}: {:.1} times smaller",
                n as f64 / own as f64
            )?;
        }
        // In training the gradient stands beside what is stored.
        let own = self.student().n_params();
        let stored = n + OF_STUDENT * own;
        let megabytes = |parameters: usize| (parameters * 4) as f64 / 1e6;
        writeln!(
            f,
            "memory     {:.1} MB of buffers (student, gradient, Adam, two averages, teacher), and the activations of a \
             micro-batch; a checkpoint has {:.1} MB",
            megabytes(stored + own),
            megabytes(stored)
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
        writeln!(
            f,
            "evaluation {} samples each, {}: student at {} steps{}, teacher at {:?}",
            e.samples,
            e.features.name(),
            self.phases.final_steps(),
            if e.student_steps.is_empty() { String::new() } else { format!(" and {:?}", e.student_steps) },
            if e.teacher_steps.is_empty() { vec![self.grid.steps()] } else { e.teacher_steps.clone() }
        )?;
        write!(f, "           {} network evaluations", self.evaluations())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::ConfigArgs;

    /// Parameters that the published networks have.
    fn expected_parameters(name: &str) -> Option<usize> {
        match name {
            "digits" | "cifar10_mini" => None,
            "cifar10_tract_edm_256m" => Some(56_397_827),
            "imagenet64_tract_edm_96m" => Some(295_899_267),
            _ if name.starts_with("cifar10_") => Some(60_004_099),
            _ => Some(295_905_222),
        }
    }

    #[test]
    fn every_config_of_the_project_can_be_planned() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs");
        let mut n = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_stem().unwrap().to_string_lossy().into_owned();
            let config = crate::config::load(&ConfigArgs { config: Some(path), set: vec![] })
                .unwrap_or_else(|e| panic!("{file}: {e:#}"));
            assert_eq!(config.name, file, "a run is named after its config");
            let outline = Outline::resolve(config).unwrap_or_else(|e| panic!("{file}: {e:#}"));
            if let Some(expected) = expected_parameters(&file) {
                assert_eq!(outline.model.n_params(), expected, "{file}");
            }
            assert!(outline.to_string().contains("-> "), "{file}");
            n += 1;
        }
        assert!(n >= 26, "{n} configs");
    }
}
