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
    /// A part of a batch that it does not have.
    #[error("images {start} to {end} of a batch of {images}")]
    Range {
        /// First position.
        start: usize,
        /// The position behind the last.
        end: usize,
        /// Images in the batch.
        images: usize,
    },
    /// A transition of BTD that is not two steps long.
    #[error("BTD takes two teacher steps at once, but a transition has one")]
    NotTwoSteps,
    /// A phase that BTD cannot do.
    #[error("BTD halves the steps in every phase, but one goes from {from} to {to}")]
    NoHalving {
        /// Steps of the phase's teacher.
        from: usize,
        /// Steps of its student.
        to: usize,
    },
    /// An objective that asks a network which is not there.
    #[error("the objective asks a {which}, and there is none: does its `asks` name it?")]
    NoTeacher {
        /// Which network.
        which: &'static str,
    },
    /// An error of an objective outside these crates.
    #[error("{0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The error of an objective outside these crates.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}

impl From<tch::TchError> for Error {
    fn from(e: tch::TchError) -> Self {
        Self::Model(e.into())
    }
}

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
