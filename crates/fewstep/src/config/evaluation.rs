//! What is measured: the `[evaluation]` of a config.

use anyhow::{Result, bail};
use fewstep_eval::Quantisation;
use serde::{Deserialize, Serialize};

use crate::evaluation::{Features, LabelChoice, MetricChoice};

/// What is measured, when training is done and on the way. It may be changed without training again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationConfig {
    /// The feature space that images are compared in.
    pub features: Features,
    /// The metrics that are computed, one or more.
    #[schemars(length(min = 1))]
    pub metrics: Vec<MetricChoice>,
    /// Images generated per measurement.
    #[schemars(range(min = 2))]
    pub samples: u64,
    /// Images per batch, in sampling and in the feature network.
    #[schemars(range(min = 1))]
    pub batch: usize,
    /// Seed of the first generated image; the next images have the seeds that follow.
    pub first_seed: u64,
    /// How the classes of a conditional model's images are chosen.
    #[serde(skip_serializing_if = "LabelChoice::is_usual")]
    #[schemars(!skip_serializing_if)]
    pub labels: LabelChoice,
    /// Numbers of sampling steps that the student is measured at beside its own. Each must divide the first number of `distill.schedule`.
    pub student_steps: Vec<usize>,
    /// Numbers of sampling steps that the teacher is measured at; empty: those of its own grid. Each must be at
    /// least 1, 2 on a Karras schedule, and at most the timesteps of a beta table.
    pub teacher_steps: Vec<usize>,
    /// How the values of generated images are rounded to 8 bits.
    pub quantisation: Quantisation,
    /// Images per picture of samples, arranged in a grid.
    #[schemars(range(min = 1))]
    pub grid: u64,
    /// Training samples between two measurements on the way, of whatever is being trained: the teacher at its steps, then the
    /// student at its own; 0: none.
    pub every: u64,
    /// Images generated per measurement on the way. Below 2 is refused where `every` is above 0.
    pub every_samples: u64,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            features: Features::Pixels,
            metrics: vec![MetricChoice::Frechet],
            samples: 2000,
            batch: 64,
            first_seed: 0,
            labels: LabelChoice::Data,
            student_steps: Vec::new(),
            teacher_steps: Vec::new(),
            quantisation: Quantisation::HalfToEven,
            grid: 100,
            every: 0,
            every_samples: 1000,
        }
    }
}

impl EvaluationConfig {
    /// Numbers of steps that a student is measured at beside its `own`.
    pub fn other_student_steps(&self, own: usize) -> impl Iterator<Item = usize> {
        self.student_steps.iter().copied().filter(move |&n| n != own)
    }

    /// Numbers of steps that a teacher is measured at, ascending; none: its own.
    pub fn ascending_teacher_steps(&self) -> Vec<usize> {
        let mut steps = self.teacher_steps.clone();
        steps.sort_unstable();
        steps.dedup();
        steps
    }

    /// Checks what no type can say.
    pub fn validate(&self) -> Result<()> {
        let on_the_way = if self.every > 0 { self.every_samples } else { 2 };
        for (key, got, least) in [
            ("samples", self.samples, 2),
            ("batch", self.batch as u64, 1),
            ("grid", self.grid, 1),
            ("every_samples", on_the_way, 2),
        ] {
            if got < least {
                bail!("evaluation.{key}: must be at least {least}, is {got}");
            }
        }
        if self.metrics.is_empty() {
            bail!("evaluation.metrics: must name at least one metric");
        }
        Ok(())
    }
}
