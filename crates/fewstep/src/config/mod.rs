//! The description of a run: every key, its default, and where values come from.

mod identity;
mod layers;
mod objective;
mod teacher;

use std::path::PathBuf;

use anyhow::{Result, bail};
use fewstep_data::DatasetSpec;
use fewstep_distill::{DenoisingConfig, ObjectiveConfig, TeacherSteps};
use fewstep_eval::Quantisation;
use fewstep_models::{Architecture, ModelConfig, Prediction};
use fewstep_schedules::{Decay, LearningRate, PhaseSteps, Schedule};
use fewstep_torch::{AdamConfig, Compute, DeviceSpec, GradientRule};
use serde::{Deserialize, Serialize};

use crate::evaluation::{Features, LabelChoice, MetricChoice};

pub use layers::{Layers, load, read};
pub(crate) use teacher::TEACHER_FROM;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Name of the run's folder.
    pub name: String,
    /// Seed of every draw.
    #[serde(default)]
    pub seed: u64,
    /// auto, cpu, cuda or cuda:N.
    #[serde(default)]
    pub device: DeviceSpec,
    /// Kind that the networks compute in: f32, or f64 for comparisons.
    #[serde(default, skip_serializing_if = "Compute::is_f32")]
    pub compute: Compute,
    /// Where the images come from.
    #[serde(default)]
    pub data: DatasetSpec,
    /// The network. Left out, it is that of `teacher.from`.
    pub model: ModelConfig,
    /// The student, where it is another network than the teacher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student: Option<StudentConfig>,
    /// Noise levels. Left out, they are those of `teacher.from`, or the cosine schedule.
    #[serde(default)]
    pub schedule: Schedule,
    /// What all stages share.
    pub training: TrainingConfig,
    /// The teacher.
    pub teacher: TeacherConfig,
    /// The distillation.
    pub distill: DistillConfig,
    /// What is measured.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
}

/// A student of another network, such as a smaller one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentConfig {
    /// The network; it takes the images that the teacher takes.
    pub network: Architecture,
    /// What it predicts (a DDPM network only).
    #[serde(default)]
    pub prediction: Prediction,
    /// What it starts from.
    #[serde(default)]
    pub start: StudentStart,
    /// The phase in which it takes over, counted from 1; before it the student is of the teacher's network.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub phase: usize,
}

/// Where the parameters of a student of another network come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StudentStart {
    /// From the teacher where names and shapes agree, the rest drawn afresh.
    #[default]
    Matching,
    /// All drawn afresh.
    Scratch,
}

/// What all stages share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Images a step.
    pub batch: usize,
    /// Images a forward and backward pass (default: 64).
    #[serde(default = "default_micro_batch")]
    pub micro_batch: usize,
    /// Mirror images at random.
    #[serde(default)]
    pub flip: bool,
    /// Adam's constants.
    #[serde(default)]
    pub adam: AdamConfig,
    /// What happens to gradients.
    #[serde(default)]
    pub gradient: GradientRule,
    /// Samples between checkpoints.
    pub checkpoint_every: u64,
    /// Checkpoints kept.
    #[serde(default = "default_keep")]
    pub keep_checkpoints: usize,
    /// Steps between two lines of metrics.
    #[serde(default = "default_log_every")]
    pub log_every: u64,
}

/// The teacher: trained here, or read from a model file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherConfig {
    /// A model file; without it the teacher is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// Take a teacher that was trained on another schedule: a network answers at any noise level, whatever grid it stands on,
    /// as long as it has seen such noise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_schedule: bool,
    /// Samples of its training.
    #[serde(default)]
    pub samples: u64,
    /// Learning rate by samples.
    #[serde(default = "default_learning_rate")]
    pub learning_rate: LearningRate,
    /// Decay of the inference average, mu_I.
    #[serde(default)]
    pub inference_decay: Decay,
    /// At which noise it is trained, and with which weight.
    #[serde(default)]
    pub objective: DenoisingConfig,
    /// Probability that a value inside the network is dropped in training.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropout: f64,
}

/// What a phase takes over from the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseChange {
    /// Student, averages and Adam carry on (the reference code).
    #[default]
    CarryOn,
    /// The student restarts as a copy of the new teacher (the paper's text).
    Restart,
}

/// The distillation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillConfig {
    /// The objective of all phases, or one per phase. Configs may also give names, and options under the objective's name.
    pub objective: Vec<ObjectiveConfig>,
    /// `T, ..., 1`: numbers of equal steps, or lists of boundaries.
    pub schedule: Vec<PhaseSteps>,
    /// Samples of all phases together, shared equally.
    pub samples: u64,
    /// Learning rate by samples.
    #[serde(default = "default_learning_rate")]
    pub learning_rate: LearningRate,
    /// mu_S.
    #[serde(default = "default_self_teacher_decay")]
    pub self_teacher_decay: f64,
    /// mu_I.
    #[serde(default)]
    pub inference_decay: Decay,
    /// What a phase takes over from the one before.
    #[serde(default)]
    pub phase_change: PhaseChange,
    /// Probability that a value inside the student is dropped in training (the reference code: 0).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropout: f64,
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

/// What is measured, when training is done and on the way. It may be changed without training again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationConfig {
    /// pixels, pytorch-fid or tf.
    pub features: Features,
    /// frechet, frechet-interval, frechet-infinity, kernel, precision-recall.
    pub metrics: Vec<MetricChoice>,
    /// Images generated for each number.
    pub samples: u64,
    /// Images a batch.
    pub batch: usize,
    /// Seed of the first image.
    pub first_seed: u64,
    /// Classes of the images of a conditional model: in the proportions of the data, or all alike.
    #[serde(skip_serializing_if = "LabelChoice::is_usual")]
    pub labels: LabelChoice,
    /// Numbers of sampling steps that the student is measured at beside its own.
    pub student_steps: Vec<usize>,
    /// Numbers of sampling steps that the teacher is measured at (default: those of its own grid).
    pub teacher_steps: Vec<usize>,
    /// How samples become 8-bit images.
    pub quantisation: Quantisation,
    /// Images in a grid.
    pub grid: u64,
    /// Training samples between two measurements on the way, of whatever is being trained: the teacher at its steps, then the
    /// student at its own; 0: none.
    pub every: u64,
    /// Images generated for each number on the way.
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
