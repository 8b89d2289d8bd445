//! What a run will do: its stages, resolved to steps and rates before anything runs.

use std::sync::Arc;

use fewstep_distill::Objective;
use fewstep_models::{Network, X0Clip};
use fewstep_samplers::{Role, Sampler};
use fewstep_schedules::LearningRate;
use fewstep_torch::{AdamConfig, GradientRule};

use crate::error::{Error, Result};
use crate::policy::ComputePolicy;

/// How a stage takes over from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageStart {
    /// Parameters, Adam and averages as a run begins with them. The first stage only.
    Fresh,
    /// The inference average becomes the teacher; the student starts as a copy of it; new Adam, new averages.
    FromTeacher,
    /// The inference average becomes the teacher; the student is another network, drawn afresh; new Adam, new averages.
    NewStudent {
        /// Whether the teacher's tensors are taken over wherever name and shape agree.
        from_teacher: bool,
    },
    /// The inference average becomes the teacher; student, self-teacher, averages and Adam carry on (the reference code's
    /// phase change).
    CarryOn,
}

/// What a stage makes, and how that is sampled.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// A teacher, which denoises at every level, or a student, which takes the steps that it was taught.
    pub role: Role,
    /// Indices of the run's first grid that sampling visits, ascending from 0: `[0, T]` for a one-step student.
    pub visits: Vec<usize>,
    /// Clipping of `x0_hat` in every sampling step.
    pub clip: X0Clip,
    /// How the visited levels are walked.
    pub sampler: Sampler,
}

impl Product {
    /// A teacher of `steps` steps.
    pub fn teacher(steps: usize, clip: X0Clip, sampler: impl Into<Sampler>) -> Self {
        Self { role: Role::Teacher, visits: (0..=steps).collect(), clip, sampler: sampler.into() }
    }

    /// A student that visits these indices, by DDIM with clipping.
    pub fn student(visits: Vec<usize>) -> Self {
        Self { role: Role::Student, visits, clip: X0Clip::UnitRange, sampler: Sampler::default() }
    }

    /// The same whose steps clip in another way, and keep the noise of the answer before clipping or not.
    #[must_use]
    pub fn with_clip(mut self, clip: X0Clip, keep_noise: bool) -> Self {
        (self.clip, self.sampler.keep_noise) = (clip, keep_noise);
        self
    }

    /// Number of its sampling steps.
    pub fn steps(&self) -> usize {
        self.visits.len().saturating_sub(1)
    }
}

/// One stage: what it makes, by what objective, from what.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Name in logs.
    pub name: String,
    /// What it makes.
    pub makes: Product,
    /// The network that is trained.
    pub network: Arc<dyn Network>,
    /// The network that teaches; the trained one again where nothing else is meant.
    pub teacher: Arc<dyn Network>,
    /// What is optimised.
    pub objective: Arc<dyn Objective>,
    /// How it starts.
    pub start: StageStart,
    /// Optimizer updates.
    pub steps: u64,
    /// Learning rate by samples of the stage.
    pub learning_rate: LearningRate,
    /// Decay of the inference average, mu_I.
    pub inference_decay: f64,
    /// Decay of the self-teacher, mu_S; not used where the objective asks none.
    pub self_teacher_decay: f64,
    /// Probability that a value of the student is dropped in training.
    pub dropout: f64,
}

/// All stages of a run, and what they share.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seed of every draw.
    pub seed: u64,
    /// What the networks compute in.
    pub compute: ComputePolicy,
    /// Images per step.
    pub batch: usize,
    /// Images per forward and backward pass; the result depends on it only by rounding, and not on the number of threads.
    pub micro_batch: usize,
    /// Mirror images at random.
    pub flip: bool,
    /// Adam's constants.
    pub adam: AdamConfig,
    /// What happens to gradients.
    pub gradient: GradientRule,
    /// The stages in order.
    pub stages: Vec<Stage>,
    /// Samples between checkpoints.
    pub checkpoint_every: u64,
}

impl Plan {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// Names the field.
    pub fn validate(&self) -> Result<()> {
        let bad = |key, problem: &str| Err(Error::Plan { key, problem: problem.into() });
        if self.batch == 0 {
            return bad("batch", "must be at least 1, is 0");
        }
        if self.micro_batch == 0 {
            return bad("micro_batch", "must be at least 1, is 0");
        }
        if self.checkpoint_every == 0 {
            return bad("checkpoint_every", "must be at least 1 sample, is 0");
        }
        self.compute.validate()?;
        self.adam.validate().or_else(|e| bad("adam", &e.to_string()))?;
        self.gradient.validate().or_else(|e| bad("gradient", &e.to_string()))?;
        if self.stages.is_empty() {
            return bad("stages", "nothing to train");
        }
        self.stages.iter().try_for_each(Stage::validate)?;
        self.stages.windows(2).try_for_each(|pair| pair[1].follows(&pair[0]))
    }

    /// Samples of stage `index`.
    pub fn samples(&self, index: usize) -> u64 {
        self.stages.get(index).map_or(0, |s| s.steps * self.batch as u64)
    }

    /// Samples of the stages before `index`.
    pub fn samples_before(&self, index: usize) -> u64 {
        (0..index.min(self.stages.len())).map(|i| self.samples(i)).sum()
    }

    /// Samples of the whole run.
    pub fn total_samples(&self) -> u64 {
        self.samples_before(self.stages.len())
    }

    /// The stage that a state of stage `index` has the buffers of: that stage, or the last one when the run is done.
    pub(crate) fn stage(&self, index: usize) -> Result<&Stage> {
        let none = || Error::Plan { key: "stages", problem: "nothing to train".into() };
        self.stages.get(index).or(self.stages.last()).ok_or_else(none)
    }
}

impl Stage {
    /// Passes when this stage can take over from the one before.
    fn follows(&self, before: &Self) -> Result<()> {
        let bad = |key, problem: &str| {
            let problem = format!("stage `{}` {problem} stage `{}`", self.name, before.name);
            Err(Error::Plan { key, problem })
        };
        let same = |a: &Arc<dyn Network>, b: &Arc<dyn Network>| a.layout() == b.layout();
        match self.start {
            StageStart::Fresh => bad("start", "would forget what was made by"),
            _ if !same(&self.teacher, &before.network) => {
                bad("teacher", "is taught by another network than that of")
            }
            StageStart::FromTeacher | StageStart::CarryOn if !same(&self.network, &before.network) => {
                bad("network", "goes on in another network than that of")
            }
            _ => Ok(()),
        }
    }

    fn validate(&self) -> Result<()> {
        let bad = |key, problem: String| Err(Error::Plan { key, problem });
        let name = &self.name;
        if self.steps == 0 {
            return bad("samples", format!("stage `{name}` has no steps"));
        }
        self.learning_rate.validate()?;
        if !(0.0..1.0).contains(&self.dropout) {
            let problem = format!("must be at least 0 and below 1, is {}", self.dropout);
            return bad("dropout", format!("{problem} in stage `{name}`"));
        }
        if self.objective.asks().teacher && self.start == StageStart::Fresh {
            return bad("start", format!("stage `{name}` asks a teacher, and starts without one"));
        }
        Ok(())
    }
}
