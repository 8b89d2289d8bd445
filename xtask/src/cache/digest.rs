//! Digests of published files.

use std::io::{self, Read, Write};

use md5::Md5;
use sha2::Sha256;

/// The digests that a published file may have, in lower-case hexadecimal: its publishers' choice of function, and
/// one for each published form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digest {
    Md5(&'static [&'static str]),
    Sha256(&'static [&'static str]),
}

impl Digest {
    /// Whether the contents are a published file's; if not, `sha256 <got>, published <expected>`.
    pub(crate) fn check(&self, contents: &mut impl Read) -> io::Result<Result<(), String>> {
        self.copy(contents, &mut io::sink())
    }

    /// The same, and hands the contents on to `to` as they are read.
    pub(crate) fn copy(&self, from: &mut impl Read, to: &mut impl Write) -> io::Result<Result<(), String>> {
        let (name, expected, got) = match self {
            Self::Md5(expected) => ("md5", expected, hashed::<Md5>(from, to)?),
            Self::Sha256(expected) => ("sha256", expected, hashed::<Sha256>(from, to)?),
        };
        Ok(match expected.contains(&got.as_str()) {
            true => Ok(()),
            false => Err(format!("{name} {got}, published {}", expected.join(" or "))),
        })
    }
}

fn hashed<D: sha2::Digest>(from: &mut impl Read, to: &mut impl Write) -> io::Result<String> {
    let mut digest = D::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        digest.update(&buffer[..n]);
        to.write_all(&buffer[..n])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: Digest = Digest::Sha256(&[
        "0000000000000000000000000000000000000000000000000000000000000000",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ]);

    #[test]
    fn any_published_form_will_do_and_no_other() {
        let mut copied = Vec::new();
        ABC.copy(&mut &b"abc"[..], &mut copied).unwrap().unwrap();
        assert_eq!(copied, b"abc");
        let said = ABC.check(&mut &b"abd"[..]).unwrap().unwrap_err();
        assert!(said.starts_with("sha256 a52d159f") && said.contains("published 0000"), "{said}");
        Digest::Md5(&["900150983cd24fb0d6963f7d28e17f72"]).check(&mut &b"abc"[..]).unwrap().unwrap();
        assert!(Digest::Md5(&["900150983cd24fb0d6963f7d28e17f72"]).check(&mut &b""[..]).unwrap().is_err());
    }
}
