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
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idx => "idx file",
            Self::Cifar10 => "CIFAR-10 batch",
            Self::DigitsCsv => "digits CSV",
            Self::Gzip => "gzip stream",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_shows_of_a_file_is_printable_and_short() {
        assert_eq!(shown(b""), "nothing");
        assert_eq!(shown(b"1\x1b[2J"), "\"1\\x1b[2J\"");
        let long = shown(&[0xff; 1 << 20]);
        assert!(long.len() < 100 && long.ends_with("(1048576 bytes)"), "{long}");
    }
}
