//! What can go wrong here: every variant names the operation, what it expected and what it got.

use std::path::PathBuf;
use tch::TchError;

/// Result of this crate.
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
    /// NaN or infinity where only numbers may be.
    #[error(
        "{operation}: expected finite values, got {count} non-finite, the first in row {row}, column {column}"
    )]
    NonFinite {
        /// What was being done.
        operation: &'static str,
        /// Row of the first one, from 0; in a stream, counted from the stream's start.
        row: u64,
        /// Column of the first one, in the flattened row.
        column: u64,
        /// How many there were in this batch.
        count: u64,
    },
    /// Not enough samples.
    #[error("{operation}: expected at least {expected} rows, got {got}")]
    TooFew {
        /// What was being done.
        operation: &'static str,
        /// The least number that makes sense.
        expected: u64,
        /// How many there were.
        got: u64,
    },
    /// A matrix that is no covariance: an eigenvalue below zero by more than rounding.
    #[error("{operation}: expected a covariance with eigenvalues >= {expected:e}, got {got:e}")]
    NotCovariance {
        /// What was being done.
        operation: &'static str,
        /// The least eigenvalue that rounding explains.
        expected: f64,
        /// The least eigenvalue found.
        got: f64,
    },
    /// Two things that live in different feature spaces.
    #[error("{operation}: expected feature space {expected}, got {got}")]
    Space {
        /// What was being done.
        operation: &'static str,
        /// The space of the left side.
        expected: String,
        /// The space of the right side.
        got: String,
    },
    /// A record that contradicts itself or is not of this form.
    #[error("{operation}: expected {expected}, got {got}")]
    Record {
        /// What was being done.
        operation: &'static str,
        /// What a record must satisfy.
        expected: String,
        /// What this one says.
        got: String,
    },
    /// Two numbers that may not be compared.
    #[error("the numbers may not be compared: {reasons}")]
    NotComparable {
        /// What differs, each with both sides.
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
    /// A part of a feature network that is missing or not as the network has it.
    #[error("feature network: {part}: expected {expected}, got {got}")]
    Weights {
        /// Name of the array.
        part: String,
        /// What the network has there.
        expected: String,
        /// What the file has.
        got: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source} ({what})", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it is, and where to get it if that can be said.
        what: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file that is not of the form it should have.
    #[error("{}: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: fewstep_formats::Error,
    },
    /// The libtorch layer refused.
    #[error("{operation}: {source}")]
    Layer {
        /// What was being done.
        operation: &'static str,
        /// The layer's reason.
        source: fewstep_torch::Error,
    },
    /// libtorch refused.
    #[error("{operation}: {source}")]
    Torch {
        /// What was being done.
        operation: &'static str,
        /// libtorch's message.
        #[source]
        source: TchError,
    },
}

/// Names the operation in which libtorch failed.
pub(crate) trait During<T> {
    fn during(self, operation: &'static str) -> Result<T>;
}

impl<T> During<T> for std::result::Result<T, TchError> {
    fn during(self, operation: &'static str) -> Result<T> {
        self.map_err(|source| Error::Torch { operation, source })
    }
}
