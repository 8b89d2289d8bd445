//! The description of a run: every key, its default, and where values come from.

mod draft;
mod evaluation;
mod identity;
mod layers;
mod objective;
pub mod ready;
#[cfg(test)]
mod reference;
mod teacher;

use std::path::PathBuf;

use fewstep_data::DatasetSpec;
use fewstep_distill::{DenoisingConfig, ObjectiveConfig, TeacherSteps};
use fewstep_models::{Architecture, ModelConfig, Prediction, X0Clip};
use fewstep_schedules::{Decay, LearningRate, PhaseSteps, Schedule};
use fewstep_torch::{AdamConfig, DeviceSpec, GradientRule};
use fewstep_train::ComputePolicy;
use serde::{Deserialize, Serialize};

pub use draft::Draft;
pub use evaluation::EvaluationConfig;
pub use layers::{Layers, load, read};
pub(crate) use teacher::TEACHER_FROM;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The run is called this, and so is its folder. Refused: an empty name, one with `/` or `\`, one that starts with a dot.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Every random draw of the run depends on this seed.
    #[serde(default)]
    pub seed: u64,
    /// The run computes on this device: `auto` is the first CUDA device, or the CPU where there is none; `cuda` is `cuda:0`. It may
    /// change when a run is continued. A CUDA device that is not there is refused.
    #[serde(default)]
    pub device: DeviceSpec,
    /// What the networks compute in: one of `f32`, `tf32` (GPUs), `bf16` (GPUs, and CPUs with instructions for it) and `f64` (for
    /// comparisons), or a table with one of them for each of `student`, `frozen` (teacher and self-teacher) and `sampling`.
    /// What the device does not have is refused.
    #[serde(default, skip_serializing_if = "ComputePolicy::is_f32")]
    #[schemars(!skip_serializing_if)]
    pub compute: ComputePolicy,
    /// The images that teacher and student learn from, and that generated images are compared with.
    #[serde(default)]
    pub data: DatasetSpec,
    /// The network and what it predicts. Left out, both are those of `teacher.from`; without `teacher.from` it must be given. A network
    /// that does not take images of the data's shape is refused.
    pub model: ModelConfig,
    /// The student's network or prediction, where it is another than the teacher's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student: Option<StudentConfig>,
    /// The noise levels. Left out, they are those of `teacher.from`; else the Karras schedule for EDM's networks and the cosine schedule
    /// for others.
    #[serde(default)]
    pub schedule: Schedule,
    /// What the teacher's training and all phases of the distillation share.
    pub training: TrainingConfig,
    /// The teacher: trained here, or read from a model file.
    pub teacher: TeacherConfig,
    /// The distillation: its phases, and how each is trained.
    pub distill: DistillConfig,
    /// What is measured, when training is done and on the way. It may be changed without training again.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
}

/// A student of another network, such as a smaller one, or of another prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StudentConfig {
    /// The student's network; left out, it is built as the teacher's. It must take the images that the teacher takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Architecture>,
    /// What the student predicts. For EDM's networks, all but `x0` is refused.
    #[serde(default)]
    pub prediction: Prediction,
    /// The student's parameters come from here when it takes over.
    #[serde(default)]
    pub start: StudentStart,
    /// The phase in which this network takes over, counted from 1; in phases before it the student has the teacher's network. More than
    /// the number of phases is refused.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    #[schemars(!skip_serializing_if, range(min = 1))]
    pub phase: usize,
}

/// Where the parameters of a student of another network come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StudentStart {
    /// From the teacher where names and shapes agree, the rest drawn afresh.
    #[default]
    Matching,
    /// All drawn afresh.
    Scratch,
}

/// What all stages share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Images per training step.
    #[schemars(range(min = 1))]
    pub batch: usize,
    /// Images per forward and backward pass: a step's batch is cut into passes of this size.
    #[schemars(range(min = 1))]
    #[serde(default = "default_micro_batch")]
    pub micro_batch: usize,
    /// Training images are mirrored left to right, each with probability 1/2.
    #[serde(default)]
    pub flip: bool,
    /// The constants of Adam.
    #[serde(default)]
    pub adam: AdamConfig,
    /// Whether a run on a GPU repeats to the bit. `false` lets cuDNN try kernels and take the fastest; a run on a CPU repeats all the
    /// same. It may change when a run is continued.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    #[schemars(!skip_serializing_if)]
    pub deterministic: bool,
    /// What is done to the gradient before Adam uses it. For EDM's networks the default is `kind = "replace_non_finite"`.
    #[serde(default)]
    pub gradient: GradientRule,
    /// Training samples between two checkpoints.
    #[schemars(range(min = 1))]
    pub checkpoint_every: u64,
    /// Checkpoints that are kept, the newest ones; 0 counts as 1.
    #[serde(default = "default_keep")]
    pub keep_checkpoints: usize,
    /// Training steps between two lines of the metrics log; 0 counts as 1.
    #[serde(default = "default_log_every")]
    pub log_every: u64,
}

/// The teacher: trained here, or read from a model file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TeacherConfig {
    /// Path of the teacher's model file, which `fewstep train` or `fewstep import` wrote; left out, the teacher is trained. A file with
    /// another network than `[model]` is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// A teacher that was trained on another schedule than `[schedule]` is taken; otherwise it is refused, unless it was imported. A
    /// network answers at any noise level as long as it has seen such noise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(!skip_serializing_if)]
    pub any_schedule: bool,
    /// Training samples of the teacher, rounded up to whole steps. Without `from`, 0 is refused.
    #[serde(default)]
    pub samples: u64,
    /// The learning rate, as a function of the samples seen.
    #[serde(default = "default_learning_rate")]
    pub learning_rate: LearningRate,
    /// How the decay mu_I of the average of the teacher's parameters is chosen; the average is what is sampled and teaches.
    #[serde(default)]
    pub inference_decay: Decay,
    /// At which noise the teacher is trained, and how its errors count. For EDM's networks the default is that of EDM's code: log-normal
    /// noise (mean -1.2, std 1.2), `edm` weighting, `mean` reduction.
    #[serde(default)]
    pub objective: DenoisingConfig,
    /// Probability that a value inside the teacher's network is dropped in training.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(!skip_serializing_if, range(min = 0), extend("exclusiveMaximum" = 1))]
    pub dropout: f64,
}

/// What a phase takes over from the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseChange {
    /// Student, averages and Adam carry on (the reference code).
    #[default]
    CarryOn,
    /// The student restarts as a copy of the new teacher (the paper's text).
    Restart,
}

/// The distillation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistillConfig {
    /// The objective of all phases, or a list with one per phase. Configs may also give names, and options under the objective's name.
    pub objective: Vec<ObjectiveConfig>,
    /// The steps that are left after each phase, the first teacher's steps `T` first, as in `[1024, 32, 1]`. An entry is a number of equal
    /// steps, or a list of boundaries. Refused: fewer than two entries; entries that grow; a number that does not divide the one before
    /// it; `T` above 1048576 (2^20), or above the timesteps of a beta table.
    pub schedule: Vec<PhaseSteps>,
    /// Training samples of all phases together, shared equally and rounded up to whole steps.
    #[schemars(range(min = 1))]
    pub samples: u64,
    /// The learning rate, as a function of the samples seen.
    #[serde(default = "default_learning_rate")]
    pub learning_rate: LearningRate,
    /// The decay mu_S of the self-teacher, an average of the student's parameters, per step.
    #[serde(default = "default_self_teacher_decay")]
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub self_teacher_decay: f64,
    /// How the decay mu_I of the average of the student's parameters is chosen; the average is what is sampled and teaches the next phase.
    #[serde(default)]
    pub inference_decay: Decay,
    /// What a phase takes over from the one before.
    #[serde(default)]
    pub phase_change: PhaseChange,
    /// Probability that a value inside the student is dropped in training (the reference code: 0).
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(!skip_serializing_if, range(min = 0), extend("exclusiveMaximum" = 1))]
    pub dropout: f64,
    /// How the student's steps are taken when it is sampled and measured. It is part of the model: an export is refused where the
    /// other program would sample in another way.
    #[serde(default, skip_serializing_if = "StudentSampling::is_default")]
    #[schemars(!skip_serializing_if)]
    pub sampling: StudentSampling,
}

/// How a student is sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StudentSampling {
    /// How the clean image is clipped in every step.
    pub clip: X0Clip,
    /// A clipped step keeps the noise that the answer before clipping implies, as diffusers' pipelines do; otherwise it takes the noise
    /// of the clipped image, as TRACT's code does. With one step, or without clipping, there is no difference.
    pub keep_noise: bool,
}

impl StudentSampling {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl DistillConfig {
    /// The objective of phase `index`, counted from 0.
    pub fn objective_of(&self, index: usize) -> ObjectiveConfig {
        self.objective.get(index).or(self.objective.last()).copied().unwrap_or_default()
    }

    /// How the first teacher is asked: clipping and solver of its steps, in training and when it is sampled.
    pub fn teacher_steps(&self) -> TeacherSteps {
        self.objective_of(0).teacher_steps()
    }
}

/// Keys that were added later are left out of the text that identifies a run while they have their default.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}
fn yes() -> bool {
    true
}
#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_yes(value: &bool) -> bool {
    *value
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
