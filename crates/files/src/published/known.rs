//! Digests that the contents of a published file may have.

use std::fmt;
use std::io::{self, Read, Write};

use md5::Md5;
use sha2::Sha256;

use crate::hex::hex;

/// The digests that a published file may have, in lower-case hexadecimal: its publishers' choice of function, and
/// one for each published form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownDigest {
    /// As CIFAR-10's authors publish.
    Md5(&'static [&'static str]),
    /// As all others.
    Sha256(&'static [&'static str]),
}

/// Contents that are not the published ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The function, `md5` or `sha256`.
    pub function: &'static str,
    /// The published digests, one for each published form.
    pub expected: &'static [&'static str],
    /// The digest of what is there.
    pub got: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, published {}", self.function, self.got, self.expected.join(" or "))
    }
}

impl KnownDigest {
    /// Whether the contents are a published file's; if not, what they are.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn check(&self, contents: &mut impl Read) -> io::Result<Result<(), Unknown>> {
        self.copy(contents, &mut io::sink())
    }

    /// The same, and hands the contents on to `to` as they are read.
    ///
    /// # Errors
    /// They cannot be read or written.
    pub fn copy(&self, from: &mut impl Read, to: &mut impl Write) -> io::Result<Result<(), Unknown>> {
        let (function, expected, got) = match self {
            Self::Md5(expected) => ("md5", *expected, hashed::<Md5>(from, to)?),
            Self::Sha256(expected) => ("sha256", *expected, hashed::<Sha256>(from, to)?),
        };
        Ok(match expected.contains(&got.as_str()) {
            true => Ok(()),
            false => Err(Unknown { function, expected, got }),
        })
    }
}

fn hashed<D: sha2::Digest>(from: &mut impl Read, to: &mut impl Write) -> io::Result<String> {
    let mut digest = D::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(&buffer[..n]);
        to.write_all(&buffer[..n])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: KnownDigest = KnownDigest::Sha256(&[
        "0000000000000000000000000000000000000000000000000000000000000000",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ]);

    #[test]
    fn any_published_form_will_do_and_no_other() {
        let mut copied = Vec::new();
        ABC.copy(&mut &b"abc"[..], &mut copied).unwrap().unwrap();
        assert_eq!(copied, b"abc");
        let said = ABC.check(&mut &b"abd"[..]).unwrap().unwrap_err().to_string();
        assert!(said.starts_with("sha256 a52d159f") && said.contains("published 0000"), "{said}");
        let md5 = KnownDigest::Md5(&["900150983cd24fb0d6963f7d28e17f72"]);
        md5.check(&mut &b"abc"[..]).unwrap().unwrap();
        let wrong = md5.check(&mut &b"abd"[..]).unwrap().unwrap_err();
        assert!(wrong.got.starts_with("4911e516"), "{wrong}");
    }
}
