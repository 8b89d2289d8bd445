//! The description of a run: every key, its default, and where values come from.

mod identity;
mod layers;
mod teacher;

use std::path::PathBuf;

use anyhow::{Result, bail};
use fewstep_data::DatasetSpec;
use fewstep_distill::{BtdConfig, DenoisingConfig, TractConfig};
use fewstep_eval::Quantisation;
use fewstep_models::{Architecture, ModelConfig, Prediction};
use fewstep_samplers::{Solver, X0Clip};
use fewstep_schedules::{Decay, LearningRate, PhaseSteps, Schedule};
use fewstep_torch::{AdamConfig, Compute, DeviceSpec, GradientRule};
use serde::{Deserialize, Serialize};

use crate::evaluation::{Features, LabelChoice, MetricChoice};

pub(crate) use layers::load;
pub(crate) use teacher::TEACHER_FROM;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunConfig {
    /// Name of the run's folder.
    pub(crate) name: String,
    /// Seed of every draw.
    #[serde(default)]
    pub(crate) seed: u64,
    /// auto, cpu, cuda or cuda:N.
    #[serde(default)]
    pub(crate) device: DeviceSpec,
    /// Kind that the networks compute in: f32, or f64 for comparisons.
    #[serde(default, skip_serializing_if = "Compute::is_f32")]
    pub(crate) compute: Compute,
    #[serde(default)]
    pub(crate) data: DatasetSpec,
    /// The network. Left out, it is that of `teacher.from`.
    pub(crate) model: ModelConfig,
    /// The student, where it is another network than the teacher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) student: Option<StudentConfig>,
    /// Noise levels. Left out, they are those of `teacher.from`, or the cosine schedule.
    #[serde(default)]
    pub(crate) schedule: Schedule,
    pub(crate) training: TrainingConfig,
    pub(crate) teacher: TeacherConfig,
    pub(crate) distill: DistillConfig,
    #[serde(default)]
    pub(crate) evaluation: EvaluationConfig,
}

/// A student of another network, such as a smaller one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StudentConfig {
    /// The network; it takes the images that the teacher takes.
    pub(crate) network: Architecture,
    /// What it predicts (a DDPM network only).
    #[serde(default)]
    pub(crate) prediction: Prediction,
    /// What it starts from.
    #[serde(default)]
    pub(crate) start: StudentStart,
    /// The phase in which it takes over, counted from 1; before it the student is of the teacher's network.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub(crate) phase: usize,
}

/// Where the parameters of a student of another network come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StudentStart {
    /// From the teacher where names and shapes agree, the rest drawn afresh.
    #[default]
    Matching,
    /// All drawn afresh.
    Scratch,
}

/// What all stages share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainingConfig {
    /// Images a step.
    pub(crate) batch: usize,
    /// Images a forward and backward pass (default: 64).
    #[serde(default = "default_micro_batch")]
    pub(crate) micro_batch: usize,
    /// Mirror images at random.
    #[serde(default)]
    pub(crate) flip: bool,
    #[serde(default)]
    pub(crate) adam: AdamConfig,
    #[serde(default)]
    pub(crate) gradient: GradientRule,
    /// Samples between checkpoints.
    pub(crate) checkpoint_every: u64,
    /// Checkpoints kept.
    #[serde(default = "default_keep")]
    pub(crate) keep_checkpoints: usize,
    /// Steps between two lines of metrics.
    #[serde(default = "default_log_every")]
    pub(crate) log_every: u64,
}

/// The teacher: trained here, or read from a model file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TeacherConfig {
    /// A model file; without it the teacher is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<PathBuf>,
    /// Take a teacher that was trained on another schedule: a network answers at any noise level, whatever grid it stands on,
    /// as long as it has seen such noise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) any_schedule: bool,
    /// Samples of its training.
    #[serde(default)]
    pub(crate) samples: u64,
    #[serde(default = "default_learning_rate")]
    pub(crate) learning_rate: LearningRate,
    #[serde(default)]
    pub(crate) inference_decay: Decay,
    #[serde(default)]
    pub(crate) objective: DenoisingConfig,
    /// Probability that a value inside the network is dropped in training.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) dropout: f64,
}

/// How a student is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DistillObjective {
    /// Transitive closure time-distillation; options under `distill.tract`.
    #[default]
    Tract,
    /// Binary time distillation, for schedules of halvings; options under `distill.btd`.
    Btd,
}

/// What a phase takes over from the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PhaseChange {
    /// Student, averages and Adam carry on (the reference code).
    #[default]
    CarryOn,
    /// The student restarts as a copy of the new teacher (the paper's text).
    Restart,
}

/// The distillation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DistillConfig {
    #[serde(default)]
    pub(crate) objective: DistillObjective,
    /// `T, ..., 1`: numbers of equal steps, or lists of boundaries.
    pub(crate) schedule: Vec<PhaseSteps>,
    /// Samples of all phases together, shared equally.
    pub(crate) samples: u64,
    #[serde(default = "default_learning_rate")]
    pub(crate) learning_rate: LearningRate,
    /// mu_S.
    #[serde(default = "default_self_teacher_decay")]
    pub(crate) self_teacher_decay: f64,
    /// mu_I.
    #[serde(default)]
    pub(crate) inference_decay: Decay,
    #[serde(default)]
    pub(crate) phase_change: PhaseChange,
    /// Probability that a value inside the student is dropped in training (the reference code: 0).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) dropout: f64,
    #[serde(default)]
    pub(crate) tract: TractConfig,
    #[serde(default)]
    pub(crate) btd: BtdConfig,
}

impl DistillConfig {
    /// How the first teacher is asked: clipping and solver of its steps, in training and when it is sampled.
    pub(crate) fn teacher_steps_by(&self) -> (X0Clip, Solver) {
        match self.objective {
            DistillObjective::Tract => (self.tract.clip_teacher, self.tract.solver),
            DistillObjective::Btd => (X0Clip::UnitRange, Solver::Ddim),
        }
    }
}

/// What is measured, when training is done and on the way. It may be changed without training again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EvaluationConfig {
    /// pixels, pytorch-fid or tf.
    pub(crate) features: Features,
    /// frechet, frechet-interval, frechet-infinity, kernel, precision-recall.
    pub(crate) metrics: Vec<MetricChoice>,
    /// Images generated for each number.
    pub(crate) samples: u64,
    /// Images a batch.
    pub(crate) batch: usize,
    /// Seed of the first image.
    pub(crate) first_seed: u64,
    /// Classes of the images of a conditional model: in the proportions of the data, or all alike.
    #[serde(skip_serializing_if = "LabelChoice::is_usual")]
    pub(crate) labels: LabelChoice,
    /// Numbers of sampling steps that the student is measured at beside its own.
    pub(crate) student_steps: Vec<usize>,
    /// Numbers of sampling steps that the teacher is measured at (default: those of its own grid).
    pub(crate) teacher_steps: Vec<usize>,
    /// How samples become 8-bit images.
    pub(crate) quantisation: Quantisation,
    /// Images in a grid.
    pub(crate) grid: u64,
    /// Training samples between two measurements on the way, of whatever is being trained: the teacher at its steps, then the
    /// student at its own; 0: none.
    pub(crate) every: u64,
    /// Images generated for each number on the way.
    pub(crate) every_samples: u64,
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
    pub(crate) fn other_student_steps(&self, own: usize) -> impl Iterator<Item = usize> {
        self.student_steps.iter().copied().filter(move |&n| n != own)
    }

    /// Numbers of steps that a teacher is measured at, ascending; none: its own.
    pub(crate) fn ascending_teacher_steps(&self) -> Vec<usize> {
        let mut steps = self.teacher_steps.clone();
        steps.sort_unstable();
        steps.dedup();
        steps
    }

    /// Checks what no type can say.
    pub(crate) fn validate(&self) -> Result<()> {
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

/// Keys that were added later are left out of the text that identifies a run while they have their default.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}
fn first() -> usize {
    1
}
#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_first(phase: &usize) -> bool {
    *phase == first()
}
fn default_micro_batch() -> usize {
    64
}
fn default_keep() -> usize {
    3
}
fn default_log_every() -> u64 {
    10
}
fn default_learning_rate() -> LearningRate {
    LearningRate::constant(2e-4)
}
fn default_self_teacher_decay() -> f64 {
    0.5
}
