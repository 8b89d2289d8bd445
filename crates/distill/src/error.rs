//! What can go wrong while a target or a loss is built.

/// An objective that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A denoiser failed.
    #[error(transparent)]
    Model(#[from] fewstep_models::Error),
    /// A step failed.
    #[error(transparent)]
    Sampler(#[from] fewstep_samplers::Error),
    /// A plan or grid that does not fit.
    #[error(transparent)]
    Schedule(#[from] fewstep_schedules::Error),
    /// Draws that do not match the batch.
    #[error("{what}: expected one for each of the {expected} images, got {got}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// Images in the batch.
        expected: usize,
        /// Draws given.
        got: usize,
    },
    /// A transition of BTD that is not two steps long.
    #[error("BTD takes two teacher steps at once: from index {t} to {group_start} there is one")]
    NotTwoSteps {
        /// Where the student stands.
        t: usize,
        /// Where it must land.
        group_start: usize,
    },
}

impl From<tch::TchError> for Error {
    fn from(e: tch::TchError) -> Self {
        Self::Model(e.into())
    }
}

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
