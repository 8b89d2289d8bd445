//! What can go wrong while stepping.

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
    /// A state that is not finite any more. It is looked at once, after the last step.
    #[error("sampling in {steps} steps ended in values that are not finite")]
    NonFinite {
        /// Steps in all.
        steps: usize,
    },
}

impl From<tch::TchError> for Error {
    fn from(e: tch::TchError) -> Self {
        Self::Model(e.into())
    }
}

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
