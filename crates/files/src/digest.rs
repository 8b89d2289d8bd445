//! Digests that say which bytes a number is about, written `sha256:<64 hex digits>`.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::hex::hex;

/// Bytes of a file that are read before they are hashed.
const READ_A_TIME: usize = 1 << 20;

/// A SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Digest of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Digest of a file's contents, which are never in memory as a whole.
    ///
    /// # Errors
    /// The file cannot be read; it is named.
    pub fn of_file(path: &Path) -> Result<Self> {
        let hashed = File::open(path).and_then(Self::of_stream);
        hashed.map_err(|source| Error::Io { operation: "reading", path: path.to_owned(), source })
    }

    /// Digest of what is left of a stream, which is never in memory as a whole.
    ///
    /// # Errors
    /// The stream cannot be read.
    pub fn of_stream(mut stream: impl Read) -> io::Result<Self> {
        let (mut hasher, mut buffer) = (Hasher::default(), vec![0; READ_A_TIME]);
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(n) => hasher.update(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// The 64 hex digits alone.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// A SHA-256 digest computed elsewhere.
    #[must_use]
    pub const fn from_sha256(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

/// A digest of bytes that come in pieces.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Digest of all bytes so far, in order.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }

    /// Adds numbers, each as its four bytes, the lowest first.
    pub fn update_f32(&mut self, values: &[f32]) {
        self.update(&values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
    }

    /// Adds numbers, each as its eight bytes, the lowest first.
    pub fn update_f64(&mut self, values: &[f64]) {
        self.update(&values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::Digest { got: text.to_owned() };
        let hex = text.strip_prefix("sha256:").ok_or_else(wrong)?.as_bytes();
        if hex.len() != 64 || !hex.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong());
        }
        let nibble = |c: u8| if c.is_ascii_digit() { c - b'0' } else { c - b'a' + 10 };
        Ok(Self(std::array::from_fn(|i| nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]))))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vector_and_round_trip() {
        // FIPS 180-2, "abc".
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), text);
        assert_eq!(text.parse::<Digest>().unwrap(), Digest::of(b"abc"));
        assert_eq!(Digest::of(b"abc").hex(), text[7..]);
        let mut hasher = Hasher::default();
        [&b"a"[..], b"bc"].into_iter().for_each(|part| hasher.update(part));
        assert_eq!(hasher.finish(), Digest::of(b"abc"));
        for bad in
            [&text[7..], &text[..70], &text.to_uppercase(), &text.replace('b', "g"), &text.replace('b', "é")]
        {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn in_json_it_is_its_text() {
        let json = serde_json::to_string(&Digest::of(b"abc")).unwrap();
        assert_eq!(json, format!("\"{}\"", Digest::of(b"abc")));
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), Digest::of(b"abc"));
        let message = serde_json::from_str::<Digest>("\"sha256:0\"").unwrap_err().to_string();
        assert!(message.contains("64 lower-case hex digits"), "{message}");
    }

    #[test]
    fn a_file_has_the_digest_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let bytes: Vec<u8> = (0..2 * READ_A_TIME + 3).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Digest::of_file(&path).unwrap(), Digest::of(&bytes));
        let absent = folder.path().join("absent");
        assert!(Digest::of_file(&absent).unwrap_err().to_string().contains("reading"));
    }
}
