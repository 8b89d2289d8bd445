//! Errors of exports.

use std::path::PathBuf;

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// A model that a format cannot express, or a folder that cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The format has no place for a part of the model.
    #[error("{format} cannot express {what}: {instead}")]
    Inexpressible {
        /// The format.
        format: &'static str,
        /// The part, with its value.
        what: String,
        /// What to do.
        instead: &'static str,
    },
    /// A folder that was exported, and is not as it was written.
    #[error("{}: {problem}", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file that cannot be written or read.
    #[error(transparent)]
    Files(#[from] fewstep_files::Error),
    /// Levels that make no grid.
    #[error(transparent)]
    Schedule(#[from] fewstep_schedules::Error),
    /// A network that cannot be built or evaluated.
    #[error(transparent)]
    Model(#[from] fewstep_models::Error),
    /// A model that cannot be sampled.
    #[error(transparent)]
    Sampler(#[from] fewstep_samplers::Error),
    /// libtorch, or the parameter table.
    #[error(transparent)]
    Torch(#[from] fewstep_torch::Error),
}

impl From<tch::TchError> for Error {
    fn from(e: tch::TchError) -> Self {
        Self::Torch(e.into())
    }
}
