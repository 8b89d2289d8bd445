//! What follows from a config alone, without data and teacher: stages, steps, rates, sizes.

mod cost;
mod text;

use anyhow::{Context, Result, anyhow, bail};
use fewstep_distill::{Btd, BtdConfig, Denoising, Tract, TractConfig};
use fewstep_models::{Model, ModelConfig};
use fewstep_schedules::{NoiseGrid, Phase, PhasePlan};
use fewstep_train::{Networks, Objective, Stage, StageStart, TrainPlan};

use crate::config::{DistillConfig, DistillObjective, PhaseChange, RunConfig, StudentConfig, StudentStart};

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
        only_used_options(&config.distill)?;
        config.distill.tract.validate().context("distill.tract")?;
        config.distill.btd.validate().context("distill.btd")?;
        config.teacher.objective.validate().context("teacher.objective")?;
        let model = Model::new(config.model.clone()).map_err(|e| in_section("model", e))?;
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
        training.validate().map_err(in_training)?;
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
}

/// The error with the key that a config has it under.
fn in_section(section: &str, error: fewstep_models::Error) -> anyhow::Error {
    match error {
        fewstep_models::Error::Config { key: "prediction", problem } => {
            anyhow!("{section}.prediction: {problem}")
        }
        fewstep_models::Error::Config { key, problem } => anyhow!("{section}.network.{key}: {problem}"),
        other => anyhow::Error::from(other).context(format!("{section}.network")),
    }
}

/// The error with the key that a config has it under.
fn in_training(error: fewstep_train::Error) -> anyhow::Error {
    match error {
        fewstep_train::Error::Plan { key, problem } => anyhow!("training.{key}: {problem}"),
        other => other.into(),
    }
}

/// Passes when nothing is asked of an objective that the run does not use: it would say something that is not so, and make
/// another run of the same.
fn only_used_options(d: &DistillConfig) -> Result<()> {
    let (unused, used) = match d.objective {
        DistillObjective::Btd if d.tract != TractConfig::default() => ("tract", "btd"),
        DistillObjective::Tract if d.btd != BtdConfig::default() => ("btd", "tract"),
        _ => return Ok(()),
    };
    bail!("distill.{unused}: has no effect, because distill.objective is `{used}`; leave it out")
}

/// The network of `[student]`.
fn other_student(student: &StudentConfig, teacher: &Model) -> Result<Model> {
    let config = ModelConfig { network: student.network.clone(), prediction: student.prediction };
    let model = Model::new(config).map_err(|e| in_section("student", e))?;
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
    let (c, d) = (&config.teacher, &config.distill);
    if d.samples == 0 {
        bail!("distill.samples: must be at least 1, is 0");
    }
    for (key, dropout) in [("teacher.dropout", c.dropout), ("distill.dropout", d.dropout)] {
        if !(0.0..1.0).contains(&dropout) {
            bail!("{key}: must be at least 0 and below 1, is {dropout}");
        }
    }
    c.learning_rate.validate().context("teacher.learning_rate")?;
    d.learning_rate.validate().context("distill.learning_rate")?;
    let mut stages = Vec::new();
    if config.teacher.from.is_none() {
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
    let n = phases.phases().len();
    if let Some(student) = config.student.as_ref().filter(|student| !(1..=n).contains(&student.phase)) {
        bail!("student.phase: is {}, but distill.schedule has phases 1 to {n}", student.phase);
    }
    let steps = d.samples.div_ceil(batch).div_ceil(n as u64);
    let self_decay = fewstep_schedules::Decay::Fixed(d.self_teacher_decay)
        .resolve(1)
        .context("distill.self_teacher_decay")?;
    for (k, phase) in phases.phases().iter().enumerate() {
        let carry_on = k > 0 && d.phase_change == PhaseChange::CarryOn;
        let start = match &config.student {
            Some(student) if student.phase == k + 1 => {
                StageStart::NewStudent { from_teacher: student.start == StudentStart::Matching }
            }
            _ if carry_on => StageStart::CarryOn,
            _ => StageStart::FromTeacher,
        };
        stages.push(Stage {
            name: format!("phase {} of {n}: {} -> {}", k + 1, phase.teacher_steps(), phase.student_steps()),
            objective: objective(config, k, phase, grid)?,
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
        compute: config.compute,
        batch: t.batch,
        micro_batch: t.micro_batch,
        flip: t.flip,
        adam: t.adam,
        gradient: t.gradient,
        stages,
        checkpoint_every: t.checkpoint_every,
    })
}

fn objective(config: &RunConfig, k: usize, phase: &Phase, grid: &NoiseGrid) -> Result<Objective> {
    let (d, phase, grid) = (&config.distill, phase.clone(), grid.clone());
    match d.objective {
        DistillObjective::Tract => {
            Ok(Objective::Tract { tract: Tract { grid, config: d.tract.of_phase(k) }, phase })
        }
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

#[cfg(test)]
pub(super) mod tests {
    use fewstep_samplers::Solver;

    use super::*;
    use crate::args::ConfigArgs;

    /// Parameters that the published networks have.
    fn expected_parameters(name: &str) -> Option<usize> {
        match name {
            "digits" | "digits_edm" | "cifar10_mini" => None,
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

    pub(super) fn outline(set: &[&str]) -> Result<Outline> {
        let set = set.iter().map(|&s| s.to_owned()).collect();
        Outline::resolve(crate::config::load(&ConfigArgs { config: None, set })?)
    }

    #[test]
    fn heun_s_method_is_for_the_first_teacher_alone() {
        let heun = "distill.tract={solver='heun', clip_teacher='off'}";
        let outline = outline(&["schedule.kind=karras", heun, "evaluation.teacher_steps=[2]"]).unwrap();
        let solvers: Vec<Solver> = outline
            .training
            .stages
            .iter()
            .filter_map(|stage| match &stage.objective {
                Objective::Tract { tract, .. } => Some(tract.config.solver),
                _ => None,
            })
            .collect();
        assert_eq!(solvers, [Solver::Heun, Solver::Ddim]);
    }

    #[test]
    fn another_student_takes_over_where_it_is_told_to() {
        let student = "student.network={kind='ddpm_unet', image_channels=1, resolution=8, channels=8, \
            channel_mult=[1, 2], n_res_blocks=1, attention_resolutions=[4], embedding_channels=16}";
        let set = ["distill.schedule=[64, 8, 8, 1]", student, "student.phase=2"];
        let outline_of = outline(&set).unwrap();
        let networks = outline_of.networks();
        let sizes = |of: &dyn Fn(usize) -> usize| (0..4).map(of).collect::<Vec<_>>();
        let (large, small) = (outline_of.model.n_params(), outline_of.student().n_params());
        assert_eq!(sizes(&|k| networks.trained(k).n_params()), [large, large, small, small]);
        assert_eq!(sizes(&|k| networks.teaching(k).n_params()), [large, large, large, small]);
        assert!(outline_of.to_string().contains("from phase 2 on"), "{outline_of}");
        let e = outline(&[set[0], student, "student.phase=4"]).err().unwrap().to_string();
        assert!(e.contains("student.phase") && e.contains("1 to 3"), "{e}");
    }
}
