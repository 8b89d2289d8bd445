//! What can stop a training run.

use std::path::PathBuf;

/// A training run that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// libtorch, the parameter table or a tensor file.
    #[error(transparent)]
    Torch(#[from] fewstep_torch::Error),
    /// A network.
    #[error(transparent)]
    Model(#[from] fewstep_models::Error),
    /// An objective.
    #[error(transparent)]
    Objective(#[from] fewstep_distill::Error),
    /// A schedule or rate.
    #[error(transparent)]
    Schedule(#[from] fewstep_schedules::Error),
    /// Sampling, or a model file.
    #[error(transparent)]
    Sampler(#[from] fewstep_samplers::Error),
    /// Reading data.
    #[error(transparent)]
    Data(#[from] fewstep_data::Error),
    /// A file or folder; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file that could not be written whole.
    #[error(transparent)]
    Written(#[from] fewstep_files::Error),
    /// A value of the plan that cannot be followed.
    #[error("{key}: {problem}")]
    Plan {
        /// Which one, as [`Plan`](crate::Plan) calls it.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A loss or gradient that is not finite. The state before the step was kept.
    #[error(
        "{what} is not finite in stage `{stage}` at step {step} (samples {samples}); the state before this step is kept in {}",
        kept.display()
    )]
    NonFinite {
        /// `loss` or `gradient`.
        what: &'static str,
        /// Name of the stage.
        stage: String,
        /// Step of the stage, counted from 1.
        step: u64,
        /// Which samples of the run are affected.
        samples: String,
        /// The checkpoint that holds the state before the step.
        kept: PathBuf,
    },
    /// Workers that could not go on together. The state before the step was kept.
    #[error("{source}; the state before this step is kept in {}", kept.display())]
    Workers {
        /// Why.
        source: fewstep_torch::WorkersError,
        /// The checkpoint that holds the state before the step.
        kept: PathBuf,
    },
    /// A checkpoint or model file that cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A checkpoint of a run that began with something else.
    #[error("{} was written by a run with {}", path.display(), list(differences))]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What is known to differ.
        differences: Vec<Difference>,
    },
    /// The run's folder holds checkpoints, none of which is intact.
    #[error("no intact checkpoint in {}: {problems}. Move the folder away to start over", folder.display())]
    NoIntactCheckpoint {
        /// The checkpoints' folder.
        folder: PathBuf,
        /// What is wrong with each of them.
        problems: String,
    },
    /// The system would not start the prefetch thread.
    #[error("cannot start the prefetch thread: {source}")]
    Thread {
        /// The system's reason.
        source: std::io::Error,
    },
    /// A data set panicked while the prefetch thread made a batch.
    #[error("the prefetch thread panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// A batch was asked of a prefetch that has already given an error.
    #[error("the prefetch has ended: an earlier call returned its error")]
    Ended,
    /// The observer failed.
    #[error(transparent)]
    Observer(Box<dyn std::error::Error + Send + Sync>),
}

/// Something that a run began with and that is another one now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name in [`Origin`](crate::Origin).
    pub what: String,
    /// Its digest when the run began.
    pub there: String,
    /// Its digest now.
    pub here: String,
}

fn list(differences: &[Difference]) -> String {
    if differences.is_empty() {
        return "another config".to_owned();
    }
    let one = |Difference { what, there, here }: &Difference| {
        format!("another {what} (digest {there:.16} there, {here:.16} here)")
    };
    differences.iter().map(one).collect::<Vec<_>>().join(" and ")
}

impl From<tch::TchError> for Error {
    fn from(e: tch::TchError) -> Self {
        Self::Torch(e.into())
    }
}

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
