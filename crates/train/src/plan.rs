//! What a run will do: its stages, resolved to steps and rates before anything runs.

use fewstep_schedules::LearningRate;
use fewstep_torch::{AdamConfig, Compute, GradientRule};

use crate::error::{Error, Result};
use crate::objective::Objective;

/// How a stage takes over from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageStart {
    /// Parameters as they are (fresh or loaded); new Adam, new averages.
    Fresh,
    /// The teacher becomes the inference average; the student starts as a copy of it; new Adam, new averages.
    FromTeacher,
    /// The teacher becomes the inference average; the student is another network, drawn afresh; new Adam, new averages. Once
    /// in a plan at most.
    NewStudent {
        /// Whether the teacher's tensors are taken over wherever name and shape agree.
        from_teacher: bool,
    },
    /// The teacher becomes the inference average; student, self-teacher, averages and Adam carry on (the reference code's
    /// phase change).
    CarryOn,
}

/// One stage.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Name in logs.
    pub name: String,
    /// What is optimised.
    pub objective: Objective,
    /// How it starts.
    pub start: StageStart,
    /// Optimizer updates.
    pub steps: u64,
    /// Learning rate by samples of the stage.
    pub learning_rate: LearningRate,
    /// Decay of the inference average.
    pub inference_decay: f64,
    /// Decay of the self-teacher; not used by teacher training.
    pub self_teacher_decay: f64,
    /// Probability that a value of the student is dropped in training.
    pub dropout: f64,
}

/// All stages of a run, and what they share.
#[derive(Clone, Debug)]
pub struct TrainPlan {
    /// Seed of every draw.
    pub seed: u64,
    /// Kind that the networks compute in, and of all their buffers.
    pub compute: Compute,
    /// Images a step.
    pub batch: usize,
    /// Images a forward and backward pass; the result depends on it only by rounding, and not on the number of threads.
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

impl TrainPlan {
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
        self.adam.validate().or_else(|e| bad("adam", &e.to_string()))?;
        self.gradient.validate().or_else(|e| bad("gradient", &e.to_string()))?;
        if self.stages.is_empty() {
            return bad("stages", "nothing to train");
        }
        for stage in &self.stages {
            if stage.steps == 0 {
                return Err(Error::Plan {
                    key: "samples",
                    problem: format!("stage `{}` has no steps", stage.name),
                });
            }
            stage.objective.validate()?;
            stage.learning_rate.validate()?;
            if !(0.0..1.0).contains(&stage.dropout) {
                let problem = format!("must be at least 0 and below 1, is {}", stage.dropout);
                return bad("dropout", &format!("{problem} in stage `{}`", stage.name));
            }
        }
        Ok(())
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
}
