//! The error type of the readers: the format, the position, what was expected and what was found.

use std::{fmt, io};

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// A format this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// The idx arrays of MNIST.
    Idx,
    /// The binary batches of CIFAR-10.
    Cifar10,
    /// The comma-separated handwritten digits of UCI.
    DigitsCsv,
    /// gzip around one of the others.
    Gzip,
    /// The zip archive that `torch.save` writes since torch 1.6.
    TorchZip,
    /// The older format of `torch.save`: five pickles, then the storages.
    TorchLegacy,
    /// A pickle of persistent classes, the form in which EDM, EDM2 and StyleGAN publish networks.
    EdmPickle,
    /// A flax checkpoint in msgpack.
    FlaxMsgpack,
    /// safetensors.
    Safetensors,
    /// One numpy array.
    Npy,
    /// A zip archive of numpy arrays.
    Npz,
    /// A PNG image.
    Png,
    /// A JPEG image.
    Jpeg,
    /// A zip archive of images.
    ImageZip,
    /// The labels of images, in JSON.
    ImageLabels,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idx => "idx file",
            Self::Cifar10 => "CIFAR-10 batch",
            Self::DigitsCsv => "digits CSV",
            Self::Gzip => "gzip stream",
            Self::TorchZip => "torch archive",
            Self::TorchLegacy => "old torch file",
            Self::EdmPickle => "EDM pickle",
            Self::FlaxMsgpack => "flax checkpoint",
            Self::Safetensors => "safetensors file",
            Self::Npy => "npy file",
            Self::Npz => "npz archive",
            Self::Png => "PNG image",
            Self::Jpeg => "JPEG image",
            Self::ImageZip => "zip of images",
            Self::ImageLabels => "labels of images",
        })
    }
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that the format does not allow.
    #[error("{format}: at byte {offset}: expected {expected}, got {got}")]
    Malformed {
        /// The format that was being read.
        format: Format,
        /// Position in the (unpacked) file, from 0.
        offset: u64,
        /// What the format requires there.
        expected: String,
        /// What is there.
        got: String,
    },
    /// A text file with a field that the format does not allow.
    #[error("{format}: line {line}, column {column}: expected {expected}, got {got}")]
    Text {
        /// The format that was being read.
        format: Format,
        /// Line, from 1.
        line: usize,
        /// Number of the comma-separated field in the line, from 1.
        column: usize,
        /// What the format requires there.
        expected: String,
        /// What is there.
        got: String,
    },
    /// The file is shorter than it should be.
    #[error("{format}: cut short: expected {expected} bytes, got {got}")]
    Truncated {
        /// The format that was being read.
        format: Format,
        /// Size of the complete file as far as known, saturating at `u64::MAX`.
        expected: u64,
        /// Size of the file; for a compressed file that cannot reach the claimed size, the largest it could have.
        got: u64,
    },
    /// The file is longer than it should be.
    #[error("{format}: expected the end after {expected} bytes, got more")]
    Excess {
        /// The format that was being read.
        format: Format,
        /// Size that the file should have.
        expected: u64,
    },
    /// The (unpacked) file is larger than this reader accepts.
    #[error("{format}: larger than the {limit} bytes that are accepted")]
    TooLarge {
        /// The format that was being read.
        format: Format,
        /// The largest accepted size in bytes.
        limit: u64,
    },
    /// A gzip stream that cannot be unpacked (truncated, damaged, or with a wrong checksum).
    #[error("gzip stream: damaged after {offset} unpacked bytes: {source}")]
    Gzip {
        /// Bytes that were unpacked before the damage.
        offset: u64,
        /// The decoder's message.
        source: io::Error,
    },
    /// A pickle that names a global that tensors do not need.
    #[error(
        "{format}: at byte {offset}: names the global `{global}`, which is not on the list of those that tensors need; nothing of the file was run"
    )]
    ForbiddenGlobal {
        /// The format that was being read.
        format: Format,
        /// Position in the (unpacked) stream of the opcode that names it.
        offset: u64,
        /// Module and name, joined by a dot.
        global: String,
    },
    /// A claimed size that is larger than the rest of the file.
    #[error("{format}: at byte {offset}: {what} claims {claimed} bytes, and {left} are left")]
    PastEnd {
        /// The format that was being read.
        format: Format,
        /// Position in the (unpacked) stream of what makes the claim.
        offset: u64,
        /// What makes the claim.
        what: String,
        /// The claimed bytes, saturating at `u64::MAX`.
        claimed: u64,
        /// The bytes that are left.
        left: u64,
    },
    /// A stream that ends too early.
    #[error("{format}: stops in the middle: ends at byte {offset} without {missing}")]
    Unfinished {
        /// The format that was being read.
        format: Format,
        /// Where the stream ends.
        offset: u64,
        /// What should have followed.
        missing: String,
    },
    /// Values that are nested deeper than in any model.
    #[error("{format}: at byte {offset}: values nested more than {limit} deep")]
    TooDeep {
        /// The format that was being read.
        format: Format,
        /// Position in the (unpacked) stream, or its end if the nesting is found only after decoding.
        offset: u64,
        /// The deepest nesting accepted.
        limit: usize,
    },
    /// A tensor whose storage is not in the file.
    #[error("{format}: tensor `{tensor}`: its storage `{key}` is not in the file")]
    MissingStorage {
        /// The format that was being read.
        format: Format,
        /// Name of the tensor.
        tensor: String,
        /// Key of the storage.
        key: String,
    },
    /// A named part of the file (a tensor, an archive entry, a dictionary key) that is invalid.
    #[error("{format}: `{part}`: expected {expected}, got {got}")]
    Part {
        /// The format that was being read.
        format: Format,
        /// Name of the part.
        part: String,
        /// What the format requires there.
        expected: String,
        /// What is there.
        got: String,
    },
    /// A file whose values in memory would be many times its size, for example because it repeats shared values.
    #[error(
        "{format}: its values would take more than the {limit} bytes that a file of its size may unfold to"
    )]
    Unfolds {
        /// The format that was being read.
        format: Format,
        /// The largest accepted size in bytes.
        limit: u64,
    },
    /// A valid part of the file that is larger than the caller's limit.
    #[error("{format}: {part} would take {needed} bytes, more than the limit of {limit}")]
    OverLimit {
        /// The format that was being read.
        format: Format,
        /// A description of the part.
        part: String,
        /// The claimed bytes, saturating at `u64::MAX`.
        needed: u64,
        /// The largest allowed size in bytes.
        limit: u64,
    },
    /// An image that the decoder refuses: it is truncated, has a wrong checksum or cannot be decompressed.
    #[error("{format}: damaged: {reason}")]
    Damaged {
        /// The format that was being read.
        format: Format,
        /// The decoder's message.
        reason: String,
    },
    /// A valid file of a kind that is not supported.
    #[error("{format}: expected {expected}, got {got}")]
    Kind {
        /// The format that was being read.
        format: Format,
        /// What is supported.
        expected: String,
        /// What the file is.
        got: String,
    },
    /// Bytes that do not begin like an image.
    #[error("expected a PNG or JPEG image, got a file that begins with {start}")]
    NotAnImage {
        /// The first bytes.
        start: String,
    },
    /// Bytes that do not begin like any of the formats.
    #[error("not a model file of a known kind: begins with {start}")]
    Unrecognised {
        /// The first bytes.
        start: String,
    },
}

/// Bytes of a file, escaped and shortened for an error message.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    const LONGEST: usize = 16;
    match bytes {
        [] => "nothing".to_owned(),
        _ if bytes.len() <= LONGEST => format!("\"{}\"", bytes.escape_ascii()),
        _ => format!("\"{}...\" ({} bytes)", bytes[..LONGEST].escape_ascii(), bytes.len()),
    }
}

/// A name from a file, escaped and shortened for an error message.
pub fn escaped_name(name: &str) -> String {
    const LONGEST: usize = 120;
    let mut escaped: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        escaped.push_str("...");
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_file_in_messages_are_printable_and_short() {
        assert_eq!(escaped(b""), "nothing");
        assert_eq!(escaped(b"1\x1b[2J"), "\"1\\x1b[2J\"");
        let long = escaped(&[0xff; 1 << 20]);
        assert!(long.len() < 100 && long.ends_with("(1048576 bytes)"), "{long}");
        assert_eq!(escaped_name("os.system\u{1b}"), "os.system\\u{1b}");
        assert_eq!(escaped_name(&"x".repeat(1 << 20)).len(), 123);
    }
}
