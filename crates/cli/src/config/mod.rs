//! The description of a run: every key, its default, and where values come from.

mod identity;
mod layers;
mod teacher;

use std::path::PathBuf;

use fewstep_data::DatasetSpec;
use fewstep_distill::{BtdConfig, DenoisingConfig, TractConfig};
use fewstep_eval::Quantisation;
use fewstep_models::ModelConfig;
use fewstep_schedules::{Decay, LearningRate, PhaseSteps, Schedule};
use fewstep_torch::{AdamConfig, DeviceSpec, GradientRule};
use serde::{Deserialize, Serialize};

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
    #[serde(default)]
    pub(crate) data: DatasetSpec,
    /// The network. Left out, it is that of `teacher.from`.
    pub(crate) model: ModelConfig,
    /// Noise levels. Left out, they are those of `teacher.from`, or the cosine schedule.
    #[serde(default)]
    pub(crate) schedule: Schedule,
    pub(crate) training: TrainingConfig,
    pub(crate) teacher: TeacherConfig,
    pub(crate) distill: DistillConfig,
    #[serde(default)]
    pub(crate) evaluation: EvaluationConfig,
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
    /// Samples of its training.
    #[serde(default)]
    pub(crate) samples: u64,
    #[serde(default = "default_learning_rate")]
    pub(crate) learning_rate: LearningRate,
    #[serde(default)]
    pub(crate) inference_decay: Decay,
    #[serde(default)]
    pub(crate) objective: DenoisingConfig,
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
    #[serde(default)]
    pub(crate) tract: TractConfig,
    #[serde(default)]
    pub(crate) btd: BtdConfig,
}

/// Feature spaces that images can be compared in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Features {
    /// The pixels themselves, for small data. Its Frechet distance is not FID.
    #[default]
    Pixels,
}

/// What is measured when training is done. It may be changed without training again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EvaluationConfig {
    pub(crate) features: Features,
    /// Images generated for each number.
    pub(crate) samples: u64,
    /// Images a batch.
    pub(crate) batch: usize,
    /// Seed of the first image.
    pub(crate) first_seed: u64,
    /// Numbers of sampling steps that the teacher is measured at (default: those of its own grid).
    pub(crate) teacher_steps: Vec<usize>,
    /// How samples become 8-bit images.
    pub(crate) quantisation: Quantisation,
    /// Images in a grid.
    pub(crate) grid: u64,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            features: Features::Pixels,
            samples: 2000,
            batch: 64,
            first_seed: 0,
            teacher_steps: Vec::new(),
            quantisation: Quantisation::HalfToEven,
            grid: 100,
        }
    }
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
