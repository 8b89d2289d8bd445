//! What can go wrong while stepping, or with a model file.

use std::path::PathBuf;

/// A step or a loop that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The denoiser failed.
    #[error(transparent)]
    Model(#[from] fewstep_models::Error),
    /// Levels that no step connects.
    #[error(transparent)]
    Schedule(#[from] fewstep_schedules::Error),
    /// Seeds that do not match the batch.
    #[error("churn needs a seed for each of the {expected} samples, got {got}")]
    Seeds {
        /// Samples in the batch.
        expected: usize,
        /// Seeds given.
        got: usize,
    },
    /// Noise of another shape than the model's images.
    #[error("noise: expected [N, {}, {}, {}], got {got:?}", expected[0], expected[1], expected[2])]
    Noise {
        /// Shape `[C, H, W]` of the images.
        expected: [i64; 3],
        /// Shape of the noise.
        got: Vec<i64>,
    },
    /// Noise that is kept by a sampler other than DDIM.
    #[error("keep_noise: only DDIM steps can keep the noise of the answer before clipping")]
    KeepNoise,
    /// Churn for a sampler that has none.
    #[error("churn goes with solver `heun` only")]
    Churn,
    /// Levels of two batches of different sizes.
    #[error("a step from {from} noise levels to {to}: expected as many")]
    Levels {
        /// Samples at the start.
        from: usize,
        /// Samples at the end.
        to: usize,
    },
    /// A model file that cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A number of steps that a student cannot take.
    #[error("the student's grid has {grid} steps, of which a divisor can be taken, not {steps}")]
    StudentSteps {
        /// Steps asked for.
        steps: usize,
        /// Steps of its grid.
        grid: usize,
    },
    /// A state that is not finite any more. It is looked at once, after the last step.
    #[error("sampling in {steps} steps ended in values that are not finite")]
    NonFinite {
        /// Steps in all.
        steps: usize,
    },
}

impl From<fewstep_torch::Error> for Error {
    fn from(e: fewstep_torch::Error) -> Self {
        Self::Model(e.into())
    }
}

impl From<tch::TchError> for Error {
    fn from(e: tch::TchError) -> Self {
        Self::Model(e.into())
    }
}

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
