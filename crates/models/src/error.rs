//! What can be wrong with a network's description or its input.

/// An invalid description or input.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// libtorch or the parameter table.
    #[error(transparent)]
    Torch(#[from] fewstep_torch::Error),
    /// A network that cannot be built.
    #[error("{key}: {problem}")]
    Config {
        /// Key of the description.
        key: &'static str,
        /// What is wrong, with the numbers.
        problem: String,
    },
    /// A network that contradicts itself: a fault of this crate, not of the caller.
    #[error("fault in fewstep: {0}")]
    Fault(&'static str),
    /// An input of another shape than the network takes.
    #[error("{what}: expected {expected}, got shape {got:?}")]
    Input {
        /// Name of the input.
        what: &'static str,
        /// What was expected.
        expected: String,
        /// Shape that was given.
        got: Vec<i64>,
    },
    /// A class that the network does not have.
    #[error("label {label} of image {image} in the batch: expected 0 to {}", n_classes - 1)]
    Label {
        /// The label.
        label: i64,
        /// Which of the labels, counted from 0.
        image: i64,
        /// Classes of the network.
        n_classes: i64,
    },
    /// A level between two timesteps, of a network that knows its timesteps only.
    #[error(
        "the level alpha {alpha}, sigma {sigma} lies between the network's timesteps {below} and {above}, and it knows no time \
         between: use the levels of its own table"
    )]
    BetweenTimesteps {
        /// Scale of the signal.
        alpha: f64,
        /// Standard deviation of the noise.
        sigma: f64,
        /// The cleaner timestep.
        below: usize,
        /// The noisier timestep.
        above: usize,
    },
    /// A level without signal, from which the network's answer does not follow.
    #[error(
        "at a level without signal (alpha = 0) no clean image follows from what the network predicts: begin at a level with signal"
    )]
    NoSignal,
    /// A model of a kind that these crates do not have.
    #[error(
        "network `{name}` is none of fewstep's own; load its file with `ModelFile::load_with` and the network itself"
    )]
    Custom {
        /// What the network calls itself.
        name: String,
    },
    /// An error of a network or denoiser outside these crates.
    #[error("{0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The error of a network or denoiser outside these crates.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}

impl From<tch::TchError> for Error {
    fn from(e: tch::TchError) -> Self {
        Self::Torch(e.into())
    }
}

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
