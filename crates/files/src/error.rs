//! What can go wrong here: every variant names what was done and to which file, or what was expected.

use std::io;
use std::path::PathBuf;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused.
    #[error("{operation} {}: {source}", path.display())]
    Io {
        /// What was being done.
        operation: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A text that is no digest.
    #[error("expected sha256: and 64 lower-case hex digits, got {got:?}")]
    Digest {
        /// The text.
        got: String,
    },
}

impl From<Error> for io::Error {
    /// The system's reason, for callers whose own errors name the file.
    fn from(error: Error) -> Self {
        match error {
            Error::Io { source, .. } => source,
            other @ Error::Digest { .. } => Self::new(io::ErrorKind::InvalidData, other),
        }
    }
}
