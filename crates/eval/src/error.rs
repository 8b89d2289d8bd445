//! The error type of this crate. Variants name the operation, what it expected and what it got.

use std::path::PathBuf;
use tch::TchError;

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor, slice or array of the wrong shape or kind.
    #[error("{operation}: expected {expected}, got {got}")]
    Input {
        /// What was being done.
        operation: &'static str,
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
    },
    /// NaN or infinity where values must be finite.
    #[error(
        "{operation}: expected finite values, got {count} non-finite, the first in row {row}, column {column}"
    )]
    NonFinite {
        /// What was being done.
        operation: &'static str,
        /// Row of the first non-finite value, from 0; in a stream, counted from the stream's start.
        row: u64,
        /// Column of the first non-finite value, in the flattened row.
        column: u64,
        /// Number of non-finite values in this batch.
        count: u64,
    },
    /// Not enough samples.
    #[error("{operation}: expected at least {expected} rows, got {got}")]
    TooFew {
        /// What was being done.
        operation: &'static str,
        /// The smallest number needed.
        expected: u64,
        /// The number found.
        got: u64,
    },
    /// A matrix that is not a covariance: an eigenvalue is below zero by more than rounding.
    #[error("{operation}: expected a covariance with eigenvalues >= {expected:e}, got {got:e}")]
    NotCovariance {
        /// What was being done.
        operation: &'static str,
        /// The smallest eigenvalue that rounding explains.
        expected: f64,
        /// The smallest eigenvalue found.
        got: f64,
    },
    /// Features of two different spaces.
    #[error("{operation}: expected feature space {expected}, got {got}")]
    Space {
        /// What was being done.
        operation: &'static str,
        /// The space of the left side.
        expected: String,
        /// The space of the right side.
        got: String,
    },
    /// A record that contradicts itself or has another form.
    #[error("{operation}: expected {expected}, got {got}")]
    Record {
        /// What was being done.
        operation: &'static str,
        /// What a record must satisfy.
        expected: String,
        /// What this record has.
        got: String,
    },
    /// A metric that reads feature rows which nobody kept.
    #[error("this metric needs every feature row of the {of}, and there are none: does its `{asks}` say so?")]
    NoRows {
        /// Of which images.
        of: &'static str,
        /// What a metric asks for rows by.
        asks: &'static str,
    },
    /// Two numbers that may not be compared.
    #[error("the numbers may not be compared: {reasons}")]
    NotComparable {
        /// What differs, with both values of each.
        reasons: String,
    },
    /// Text that is not the JSON of a record.
    #[error("{operation}: {source}")]
    Json {
        /// What was being done.
        operation: &'static str,
        /// The parser's message, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// A part of a feature network that is missing or does not fit the network.
    #[error("feature network: {part}: expected {expected}, got {got}")]
    Weights {
        /// Name of the array.
        part: String,
        /// What the network needs.
        expected: String,
        /// What the file has.
        got: String,
    },
    /// Files of the cache are needed, and no environment variable says where it is.
    #[error("no HOME: set FEWSTEP_CACHE to a folder")]
    NoCache,
    /// A file that cannot be read or written.
    #[error("{}: {source} ({what})", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the file is, and how to get it if that is known.
        what: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file with the wrong format.
    #[error("{}: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: fewstep_formats::Error,
    },
    /// An operation of `fewstep-torch` failed.
    #[error("{operation}: {source}")]
    Layer {
        /// What was being done.
        operation: &'static str,
        /// Its error.
        source: fewstep_torch::Error,
    },
    /// An operation of libtorch failed.
    #[error("{operation}: {source}")]
    Torch {
        /// What was being done.
        operation: &'static str,
        /// libtorch's message.
        #[source]
        source: TchError,
    },
    /// An error of a metric or of a feature space outside these crates.
    #[error("{0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The error of a metric or of a feature space outside these crates.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}

impl From<TchError> for Error {
    /// The error of a metric or of a feature space that calls libtorch itself.
    fn from(source: TchError) -> Self {
        Self::Torch { operation: "libtorch", source }
    }
}

/// Adds the name of the operation to an error of libtorch.
pub(crate) trait During<T> {
    fn during(self, operation: &'static str) -> Result<T>;
}

impl<T> During<T> for std::result::Result<T, TchError> {
    fn during(self, operation: &'static str) -> Result<T> {
        self.map_err(|source| Error::Torch { operation, source })
    }
}
