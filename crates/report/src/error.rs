//! The error type of this crate. Every variant names the operation or the file.

use std::path::PathBuf;

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of reporting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Arguments that are not valid, or not together.
    #[error("{operation}: expected {expected}, got {got}")]
    Input {
        /// The operation.
        operation: &'static str,
        /// What was expected.
        expected: String,
        /// What was found.
        got: String,
    },
    /// The file system failed.
    #[error("{operation} {}: {source}", path.display())]
    Io {
        /// The operation.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's message.
        #[source]
        source: std::io::Error,
    },
    /// A file that could not be written whole.
    #[error(transparent)]
    File(#[from] fewstep_files::Error),
    /// A line of a metrics log that is not JSON.
    #[error("{}, line {line}: {source}", path.display())]
    Line {
        /// The log.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The parser's message.
        #[source]
        source: serde_json::Error,
    },
    /// A value that cannot be written as one line of JSON.
    #[error("a line for {}: {source}", path.display())]
    Serialize {
        /// The log.
        path: PathBuf,
        /// The serializer's message.
        #[source]
        source: serde_json::Error,
    },
    /// A PNG that could not be encoded.
    #[error("encoding a PNG: {source}")]
    Png {
        /// The encoder's message.
        #[from]
        source: png::EncodingError,
    },
}
