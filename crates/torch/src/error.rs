//! Errors of operations on libtorch and of safetensors files.

use std::path::PathBuf;

use crate::out_of_memory::OutOfMemory;

/// An operation that failed, with its input.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(tch::TchError),
    /// There was not enough memory.
    #[error("{0}")]
    OutOfMemory(#[source] OutOfMemory),
    /// The shim reported a C++ exception.
    #[error("libtorch, in {op}: {message}")]
    Shim {
        /// Operation of the shim.
        op: &'static str,
        /// The exception's text.
        message: String,
    },
    /// Several processes that cannot go on together.
    #[error(transparent)]
    Workers(#[from] crate::WorkersError),
    /// A tensor with the wrong shape.
    #[error("{what}: expected shape {expected:?}, got {got:?}")]
    Shape {
        /// Name of the tensor.
        what: String,
        /// Shape that was needed.
        expected: Vec<i64>,
        /// Shape that was found.
        got: Vec<i64>,
    },
    /// A number outside its range.
    #[error("{name} = {got} is out of range: expected {expected}")]
    OutOfRange {
        /// Name of the number.
        name: &'static str,
        /// Its value.
        got: f64,
        /// The accepted range.
        expected: &'static str,
    },
    /// A tensor with the wrong kind.
    #[error("{what}: expected {expected}, got {got:?}")]
    Kind {
        /// Name of the tensor.
        what: &'static str,
        /// The accepted kinds.
        expected: String,
        /// The kind that was found.
        got: tch::Kind,
    },
    /// A [`Compute`](crate::Compute) that the device does not support.
    #[error("compute = {asked} does not work on {device:?}; works there: {supported}")]
    Compute {
        /// The name requested.
        asked: &'static str,
        /// The device.
        device: tch::Device,
        /// Names of those that the device supports.
        supported: String,
    },
    /// A parameter table that is not well formed.
    #[error("parameter `{name}`: {problem}")]
    Parameter {
        /// Full name of the parameter.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Tensors of a file that do not match the network.
    #[error("{what} does not fit the network: {problem}")]
    Mismatch {
        /// The file or set of tensors.
        what: String,
        /// First differences, by name.
        problem: String,
    },
    /// A device that is not there.
    #[error("device `{asked}` is not available: {reason}")]
    Device {
        /// The device requested.
        asked: String,
        /// Why it is not available.
        reason: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file that is not a well-formed safetensors file.
    #[error("{what}: not a valid safetensors file: {reason}")]
    Format {
        /// The file.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        match OutOfMemory::told_by(&error.to_string()) {
            Some(out_of_memory) => Self::OutOfMemory(out_of_memory),
            None => Self::Torch(error),
        }
    }
}

impl From<OutOfMemory> for Error {
    fn from(out_of_memory: OutOfMemory) -> Self {
        Self::OutOfMemory(out_of_memory)
    }
}

/// `Err` unless `got` has the shape of `like`.
pub(crate) fn same_shape(what: &str, got: &tch::Tensor, like: &tch::Tensor) -> Result<()> {
    if got.size() == like.size() {
        return Ok(());
    }
    Err(Error::Shape { what: what.to_owned(), expected: like.size(), got: got.size() })
}

/// Longest text of a file that this crate's messages quote, in characters.
pub(crate) const LONGEST_QUOTE: usize = 120;

/// A text from a file for a message: escaped, so that nothing in it controls a terminal, and at most `longest` of its
/// characters.
pub fn escaped(text: &str, longest: usize) -> String {
    let mut escaped: String = text.chars().take(longest).flat_map(char::escape_debug).collect();
    if text.chars().nth(longest).is_some() {
        escaped.push_str("...");
    }
    escaped
}

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
