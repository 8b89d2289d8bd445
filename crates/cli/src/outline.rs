//! What follows from a config alone, without data and teacher: stages, steps, rates, sizes.

use std::fmt;

use anyhow::{Context, Result, bail};
use fewstep_distill::{Btd, Denoising, Tract};
use fewstep_models::Model;
use fewstep_schedules::{NoiseGrid, Phase, PhasePlan};
use fewstep_train::{Objective, Stage, StageStart, TrainPlan};

use crate::config::{DistillObjective, PhaseChange, RunConfig};

/// Flat buffers that a checkpoint of a distillation holds: student, Adam's two moments, inference average, self-teacher,
/// teacher.
const STORED: usize = 6;

/// A config, checked as a whole and resolved.
pub(crate) struct Outline {
    pub(crate) config: RunConfig,
    pub(crate) model: Model,
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
        Ok(Self { config, model, grid, phases, training })
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

impl fmt::Display for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.model.n_params();
        writeln!(f, "run        {} (seed {})", self.config.name, self.config.seed)?;
        writeln!(f, "network    {n} parameters, predicts {:?}", self.config.model.prediction)?;
        // In training the gradient stands beside what is stored.
        let megabytes = |buffers: usize| (n * 4 * buffers) as f64 / 1e6;
        writeln!(
            f,
            "memory     {:.1} MB of buffers (student, gradient, Adam, two averages, teacher), and the activations of a \
             micro-batch; a checkpoint has {:.1} MB",
            megabytes(STORED + 1),
            megabytes(STORED)
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
