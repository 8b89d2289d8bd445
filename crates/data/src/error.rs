//! What can go wrong between a file and an image.

use std::{io, path::PathBuf};

/// The variable that sets how many bytes one image, or the arrays of one npz archive, may take.
pub const MAX_BYTES_VARIABLE: &str = "FEWSTEP_MAX_BYTES";

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a data set cannot be opened or written, or a batch cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of a data set is missing.
    #[error("{} is missing: {hint}", path.display())]
    Missing {
        /// The path where it was expected.
        path: PathBuf,
        /// What to do about it.
        hint: String,
    },
    /// The operating system cannot read the file.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: io::Error,
    },
    /// The file does not have the format of its name.
    #[error("{}: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: fewstep_formats::Error,
    },
    /// The file, or an image or array in it, is larger than the limit.
    #[error("{}: {source}; set {MAX_BYTES_VARIABLE} to as many bytes if it is meant to be so large", path.display())]
    OverLimit {
        /// The file.
        path: PathBuf,
        /// What is too large, and the limit.
        source: fewstep_formats::Error,
    },
    /// The file is well formed, but not the published one.
    #[error(
        "{}: expected the published file with digest {expected}, got {got}; \
         fetch it again, or set `verify = false` if it is meant to differ",
        path.display()
    )]
    Digest {
        /// The file.
        path: PathBuf,
        /// The published digest, in hexadecimal.
        expected: String,
        /// The digest of what is there.
        got: String,
    },
    /// The file holds an array whose shape is not that of the data set.
    #[error("{}: expected {expected}, got dimensions {got:?}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// A description of the expected shape.
        expected: &'static str,
        /// The dimensions in the file.
        got: Vec<u32>,
    },
    /// A file or a folder that cannot be used.
    #[error("{}: expected {expected}, got {got}", path.display())]
    File {
        /// The file; for a file in an archive, the archive's path joined with the file's name.
        path: PathBuf,
        /// What is needed.
        expected: String,
        /// What was found.
        got: String,
    },
    /// The operating system cannot write the file.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: io::Error,
    },
    /// The numbers of images and labels differ.
    #[error("{} has {n_images} images, but {} has {n_labels} labels", images.display(), labels.display())]
    Count {
        /// The file of images.
        images: PathBuf,
        /// Number of images.
        n_images: usize,
        /// The file of labels.
        labels: PathBuf,
        /// Number of labels.
        n_labels: usize,
    },
    /// An invalid argument.
    #[error("{operation}: expected {expected}, got {got}")]
    Invalid {
        /// The operation and its object.
        operation: String,
        /// What it needs.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// An error of a data set that is defined outside this crate.
    #[error("{name}: {source}")]
    Dataset {
        /// The data set.
        name: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// The error of a reader for the file at `path`.
    pub(crate) fn of_format(path: PathBuf, source: fewstep_formats::Error) -> Self {
        match source {
            fewstep_formats::Error::OverLimit { .. } => Self::OverLimit { path, source },
            _ => Self::Format { path, source },
        }
    }
}
