//! What can be wrong with a file: which format, where, what was expected there and what was found.

use std::{fmt, io};

/// The result of reading a file.
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
    /// `torch.save`, the zip archive of torch 1.6 and later.
    TorchZip,
    /// `torch.save` before that: five pickles, then the storages.
    TorchLegacy,
    /// A pickle of persistent classes, as EDM and its relatives publish networks.
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

/// A file that cannot be read, and where it goes wrong.
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
        /// What the format asks for there.
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
        /// What the format asks for there.
        expected: String,
        /// What is there.
        got: String,
    },
    /// The file ends before it is whole.
    #[error("{format}: cut short: expected {expected} bytes, got {got}")]
    Truncated {
        /// The format that was being read.
        format: Format,
        /// Bytes a whole file would have, as far as is known by then (`u64::MAX` stands for any more than that).
        expected: u64,
        /// Bytes there are; for a packed file that cannot hold what it promises, the most it could.
        got: u64,
    },
    /// The file goes on after it should have ended.
    #[error("{format}: expected the end after {expected} bytes, got more")]
    Excess {
        /// The format that was being read.
        format: Format,
        /// Bytes a whole file would have.
        expected: u64,
    },
    /// The (unpacked) file is larger than this reader accepts.
    #[error("{format}: larger than the {limit} bytes that are accepted")]
    TooLarge {
        /// The format that was being read.
        format: Format,
        /// The most that is accepted, in bytes.
        limit: u64,
    },
    /// A gzip stream that cannot be unpacked (cut short, damaged, or with a wrong checksum).
    #[error("gzip stream: damaged after {offset} unpacked bytes: {source}")]
    Gzip {
        /// Bytes that were unpacked before the damage.
        offset: u64,
        /// What the decoder says.
        source: io::Error,
    },
    /// A pickle that names a global which is not on the list of those that tensors need.
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
    /// A size that is more than what is left of the file.
    #[error("{format}: at byte {offset}: {what} claims {claimed} bytes, and {left} are left")]
    PastEnd {
        /// The format that was being read.
        format: Format,
        /// Position in the (unpacked) stream of what makes the claim.
        offset: u64,
        /// What makes the claim.
        what: String,
        /// The bytes it claims (`u64::MAX` stands for any more than that).
        claimed: u64,
        /// The bytes that are left.
        left: u64,
    },
    /// A stream that stops in the middle.
    #[error("{format}: stops in the middle: ends at byte {offset} without {missing}")]
    Unfinished {
        /// The format that was being read.
        format: Format,
        /// Where the stream ends.
        offset: u64,
        /// What should have come.
        missing: String,
    },
    /// Values that are nested deeper than any model's.
    #[error("{format}: at byte {offset}: values nested more than {limit} deep")]
    TooDeep {
        /// The format that was being read.
        format: Format,
        /// Position in the (unpacked) stream, or its end if the nesting shows only then.
        offset: u64,
        /// The deepest nesting that is accepted.
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
    /// A named part of the file (a tensor, an entry of an archive, a key of a dictionary) that is not as it should be.
    #[error("{format}: `{part}`: expected {expected}, got {got}")]
    Part {
        /// The format that was being read.
        format: Format,
        /// Name of the part.
        part: String,
        /// What the format asks for there.
        expected: String,
        /// What is there.
        got: String,
    },
    /// A file whose values, in memory and repeated as it asks, would be many times its own size.
    #[error(
        "{format}: its values would take more than the {limit} bytes that a file of its size may unfold to"
    )]
    Unfolds {
        /// The format that was being read.
        format: Format,
        /// The most that is accepted, in bytes.
        limit: u64,
    },
    /// A part of the file that is in order and larger than whoever reads it has allowed.
    #[error("{format}: {part} would take {needed} bytes, more than the limit of {limit}")]
    OverLimit {
        /// The format that was being read.
        format: Format,
        /// What it is, in words.
        part: String,
        /// The bytes that it claims (`u64::MAX` stands for any more than that).
        needed: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// An image that its decoder refuses: cut short, a wrong checksum, pixels that do not unpack.
    #[error("{format}: damaged: {reason}")]
    Damaged {
        /// The format that was being read.
        format: Format,
        /// What the decoder says.
        reason: String,
    },
    /// A file in order, of a kind that is not read.
    #[error("{format}: expected {expected}, got {got}")]
    Kind {
        /// The format that was being read.
        format: Format,
        /// What is read.
        expected: String,
        /// What the file is.
        got: String,
    },
    /// Bytes that begin like no image.
    #[error("expected a PNG or JPEG image, got a file that begins with {start}")]
    NotAnImage {
        /// The first bytes.
        start: String,
    },
    /// Bytes that begin like none of the formats.
    #[error("not a model file of a known kind: begins with {start}")]
    Unrecognised {
        /// The first bytes.
        start: String,
    },
}

/// Bytes of a file as an error message may show them: printable, and never long.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const LONGEST: usize = 16;
    match bytes {
        [] => "nothing".to_owned(),
        _ if bytes.len() <= LONGEST => format!("\"{}\"", bytes.escape_ascii()),
        _ => format!("\"{}...\" ({} bytes)", bytes[..LONGEST].escape_ascii(), bytes.len()),
    }
}

/// A name out of a file, as an error message may show it.
pub(crate) fn shown_name(name: &str) -> String {
    const LONGEST: usize = 120;
    let mut shown: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_shows_of_a_file_is_printable_and_short() {
        assert_eq!(shown(b""), "nothing");
        assert_eq!(shown(b"1\x1b[2J"), "\"1\\x1b[2J\"");
        let long = shown(&[0xff; 1 << 20]);
        assert!(long.len() < 100 && long.ends_with("(1048576 bytes)"), "{long}");
        assert_eq!(shown_name("os.system\u{1b}"), "os.system\\u{1b}");
        assert_eq!(shown_name(&"x".repeat(1 << 20)).len(), 123);
    }
}
