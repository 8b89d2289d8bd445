//! From a config to a plan: everything checked and resolved before anything runs, and printable.

mod cost;
mod inputs;
mod memory;
mod stages;
mod text;

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use fewstep_models::{ModelConfig, Network};
use fewstep_schedules::{NoiseGrid, PhasePlan};
use fewstep_train::Plan;

use crate::config::{RunConfig, StudentConfig};

pub use inputs::Run;
pub(crate) use inputs::explained;
pub use memory::MemoryCount;

/// A config, checked as a whole, with the plan that it asks for. Data and teacher need not be there yet.
#[derive(Debug)]
pub struct Setup {
    /// The config.
    pub config: RunConfig,
    /// The grid of the first teacher, `T` steps.
    pub grid: NoiseGrid,
    /// The stages.
    pub plan: Plan,
}

impl Setup {
    /// Checks a config as a whole and works out what it asks for.
    ///
    /// # Errors
    /// Names the key and what is wrong with it.
    pub fn new(config: RunConfig) -> Result<Self> {
        if config.name.is_empty() || config.name.contains(['/', '\\']) || config.name.starts_with('.') {
            bail!("name: `{}` cannot be the name of a folder", config.name);
        }
        config.schedule.validate().context("schedule")?;
        for objective in &config.distill.objective {
            objective.validate().with_context(|| format!("distill.{}", objective.name()))?;
        }
        config.teacher.objective.validate().context("teacher.objective")?;
        let teacher = config.model.build().map_err(|e| in_section("model", e))?;
        let student = match &config.student {
            Some(student) => other_student(student, &config.model, teacher.as_ref())?,
            None => Arc::clone(&teacher),
        };
        let phases = PhasePlan::new(&config.distill.schedule).context("distill.schedule")?;
        let grid = config.schedule.grid(phases.steps()).context("distill.schedule")?;
        for (section, network) in [("model", &teacher), ("student", &student)] {
            asked_at(section, &ModelConfig::of(network.as_ref())?, &grid)?;
        }
        for &steps in &config.evaluation.student_steps {
            grid.every(steps).context("evaluation.student_steps")?;
        }
        for &steps in &config.evaluation.teacher_steps {
            config.schedule.grid(steps).context("evaluation.teacher_steps")?;
        }
        config.evaluation.validate()?;
        let plan = stages::plan(&config, &phases, &grid, &teacher, &student)?;
        plan.validate().map_err(in_training)?;
        Ok(Self { config, grid, plan })
    }

    /// The network of the first teacher.
    pub fn teacher(&self) -> &Arc<dyn Network> {
        // A plan has one stage at least.
        &self.plan.stages[0].teacher
    }

    /// The network of the final student.
    pub fn student(&self) -> &Arc<dyn Network> {
        &self.plan.stages[self.plan.stages.len() - 1].network
    }

    /// Number of steps of the final student.
    pub fn student_steps(&self) -> usize {
        self.plan.stages[self.plan.stages.len() - 1].makes.steps()
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
pub(crate) fn in_training(error: fewstep_train::Error) -> anyhow::Error {
    match error {
        fewstep_train::Error::Plan { key, problem } => anyhow!("training.{key}: {problem}"),
        other => other.into(),
    }
}

/// The network of `[student]`.
fn other_student(
    student: &StudentConfig,
    model: &ModelConfig,
    teacher: &dyn Network,
) -> Result<Arc<dyn Network>> {
    let network = student.network.as_ref().unwrap_or(&model.network).clone();
    let config = ModelConfig { network, prediction: student.prediction };
    let network = config.build().map_err(|e| in_section("student", e))?;
    if network.image_shape() != teacher.image_shape() {
        bail!(
            "student.network: makes images of {:?}, the teacher of {:?} (channels, height, width)",
            network.image_shape(),
            teacher.image_shape()
        );
    }
    if network.n_classes() != 0 && network.n_classes() != teacher.n_classes() {
        bail!("student.network.n_classes: is {}, the teacher's {}", network.n_classes(), teacher.n_classes());
    }
    Ok(network)
}

/// Passes when a network says something of the image at the grid's noise end.
fn asked_at(section: &str, model: &ModelConfig, grid: &NoiseGrid) -> Result<()> {
    if grid.last().alpha > 0.0 || model.answers_noise_alone() {
        return Ok(());
    }
    bail!(
        "schedule: ends at noise alone (alpha = 0), of which the network of [{section}] says nothing: a prediction of noise \
         and EDM's preconditioning divide by alpha; a DDPM U-Net with {section}.prediction = \"v\" or \"x0\" answers there"
    )
}

#[cfg(test)]
pub(super) mod tests {
    use fewstep_distill::ObjectiveConfig;
    use fewstep_samplers::Solver;

    use super::*;
    use crate::config::Layers;

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
            let config = crate::config::load(&Layers { file: Some(path), set: vec![] })
                .unwrap_or_else(|e| panic!("{file}: {e:#}"));
            assert_eq!(config.name, file, "a run is named after its config");
            let setup = Setup::new(config).unwrap_or_else(|e| panic!("{file}: {e:#}"));
            if let Some(expected) = expected_parameters(&file) {
                assert_eq!(setup.teacher().n_params(), expected, "{file}");
            }
            assert!(setup.to_string().contains("-> "), "{file}");
            n += 1;
        }
        assert!(n >= 26, "{n} configs");
    }

    pub(super) fn setup(set: &[&str]) -> Result<Setup> {
        let set = set.iter().map(|&s| s.to_owned()).collect();
        Setup::new(crate::config::load(&Layers { file: None, set })?)
    }

    #[test]
    fn heun_s_method_is_for_the_first_teacher_alone() {
        let heun = "distill.tract={solver='heun', clip_teacher='off'}";
        let setup = setup(&["schedule.kind=karras", heun, "evaluation.teacher_steps=[2]"]).unwrap();
        let of_phase = |k| match setup.config.distill.objective_of(k) {
            ObjectiveConfig::Tract(config) => config.of_phase(k).solver,
            other => panic!("{other:?}"),
        };
        assert_eq!([of_phase(0), of_phase(1)], [Solver::Heun, Solver::Ddim]);
        assert_eq!(setup.plan.stages[0].makes.sampler, Solver::Heun.into(), "so is its sampling");
    }

    #[test]
    fn a_network_that_says_nothing_of_noise_alone_is_refused_there() {
        let table = |rest: &str| format!("schedule={{kind='betas', timesteps=128{rest}}}");
        let (zero, some) = (table(", zero_terminal_snr=true"), table(""));
        assert!(
            setup(&[&zero, "model.prediction='v'"]).is_ok()
                && setup(&[&some, "model.prediction='eps'"]).is_ok()
        );
        for schedule in [zero.as_str(), "schedule={kind='line'}"] {
            let e = setup(&[schedule, "model.prediction='eps'"]).unwrap_err().to_string();
            assert!(e.contains("noise alone") && e.contains("model.prediction"), "{e}");
        }
        let e = format!("{:#}", setup(&[&some, "distill.schedule=[256, 1]"]).unwrap_err());
        assert!(e.contains("distill.schedule") && e.contains("number of timesteps"), "{e}");
    }

    #[test]
    fn a_phase_has_an_objective_of_its_own() {
        let set = ["distill.schedule=[8, 4, 1]", "distill.objective=['btd', 'tract']"];
        let stages = setup(&set).unwrap().plan.stages;
        let asks: Vec<bool> = stages.iter().map(|stage| stage.objective.asks().self_teacher).collect();
        assert_eq!(asks, [false, false, true]);
        let e = setup(&[set[0], "distill.objective=['btd', 'tract', 'tract']"]).unwrap_err().to_string();
        assert!(e.contains("distill.objective") && e.contains('3') && e.contains('2'), "{e}");
    }

    #[test]
    fn another_student_takes_over_where_it_is_told_to() {
        let student = "student.network={kind='ddpm_unet', image_channels=1, resolution=8, channels=8, \
            channel_mult=[1, 2], n_res_blocks=1, attention_resolutions=[4], embedding_channels=16}";
        let set = ["distill.schedule=[64, 8, 8, 1]", student, "student.phase=2"];
        let setup_of = setup(&set).unwrap();
        let sizes = |of: fn(&fewstep_train::Stage) -> &Arc<dyn Network>| {
            setup_of.plan.stages.iter().map(|stage| of(stage).n_params()).collect::<Vec<_>>()
        };
        let (large, small) = (setup_of.teacher().n_params(), setup_of.student().n_params());
        assert_eq!(sizes(|stage| &stage.network), [large, large, small, small]);
        assert_eq!(sizes(|stage| &stage.teacher), [large, large, large, small]);
        assert!(setup_of.to_string().contains("from phase 2 on"), "{setup_of}");
        let e = setup(&[set[0], student, "student.phase=4"]).err().unwrap().to_string();
        assert!(e.contains("student.phase") && e.contains("1 to 3"), "{e}");
    }
}
