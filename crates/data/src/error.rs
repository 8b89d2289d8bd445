//! What can go wrong between a file and an image.

use std::{io, path::PathBuf};

/// The variable that sets how many bytes one image, or the arrays of one npz archive, may take.
pub const MAX_BYTES_VARIABLE: &str = "FEWSTEP_MAX_BYTES";

/// The result of an operation on data.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no data set, or no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of a data set is not where it was looked for.
    #[error("{} is missing: {hint}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What to do about it.
        hint: String,
    },
    /// The operating system would not give the file.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not what its name says.
    #[error("{}: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Where it goes wrong.
        source: fewstep_formats::Error,
    },
    /// The file, or an image or array in it, is larger than is allowed here.
    #[error("{}: {source}; set {MAX_BYTES_VARIABLE} to as many bytes if it is meant to be so large", path.display())]
    OverLimit {
        /// The file.
        path: PathBuf,
        /// What is too large, and what the limit is.
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
    /// The file holds an array of another shape than the data set's.
    #[error("{}: expected {expected}, got dimensions {got:?}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The shape that was expected, in words.
        expected: &'static str,
        /// The dimensions in the file.
        got: Vec<u32>,
    },
    /// A file or a folder that is not what is needed.
    #[error("{}: expected {expected}, got {got}", path.display())]
    File {
        /// The file; for one in an archive, the archive's path and its name there.
        path: PathBuf,
        /// What is needed.
        expected: String,
        /// What is there.
        got: String,
    },
    /// The operating system would not take the file.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There are not as many labels as images.
    #[error("{} has {n_images} images, but {} has {n_labels} labels", images.display(), labels.display())]
    Count {
        /// The file of images.
        images: PathBuf,
        /// How many it has.
        n_images: usize,
        /// The file of labels.
        labels: PathBuf,
        /// How many it has.
        n_labels: usize,
    },
    /// An argument, or contents given to a constructor, that cannot be used.
    #[error("{operation}: expected {expected}, got {got}")]
    Invalid {
        /// What was attempted, and on what.
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
    /// What a reader finds wrong with the file at `path`.
    pub(crate) fn of_format(path: PathBuf, source: fewstep_formats::Error) -> Self {
        match source {
            fewstep_formats::Error::OverLimit { .. } => Self::OverLimit { path, source },
            _ => Self::Format { path, source },
        }
    }
}
