//! A position in a stream of bytes, with bounds-checked reads.

use crate::error::{Error, Format, Result};

#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    pub(crate) format: Format,
    bytes: &'a [u8],
    pos: usize,
    /// Offset of `bytes` in the whole stream, for error messages.
    base: u64,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(format: Format, bytes: &'a [u8], base: u64) -> Self {
        Self { format, bytes, pos: 0, base }
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A cursor over `part`, which is at position `start` of the bytes.
    pub(crate) fn within(&self, part: &'a [u8], start: usize) -> Self {
        Self::new(self.format, part, self.base + start as u64)
    }

    /// Position in the bytes.
    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    /// Position in the whole stream, for error messages.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.pos as u64
    }

    /// Number of bytes left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.pos
    }

    /// The next byte; `missing` names what is missing if there is none.
    pub(crate) fn byte(&mut self, missing: &str) -> Result<u8> {
        self.array::<1>(missing).map(|[byte]| byte)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self, missing: &str) -> Result<[u8; N]> {
        let rest = self.bytes.get(self.pos..).and_then(|rest| rest.first_chunk());
        let array = *rest.ok_or_else(|| self.unfinished(missing))?;
        self.pos += N;
        Ok(array)
    }

    /// The next `n` bytes, a length that `what` claims.
    pub(crate) fn claimed(&mut self, n: u64, what: &str) -> Result<&'a [u8]> {
        let end = usize::try_from(n).ok().and_then(|n| self.pos.checked_add(n));
        let taken = end.and_then(|end| self.bytes.get(self.pos..end));
        let taken = taken.ok_or_else(|| self.past_end(n, what))?;
        self.pos += taken.len();
        Ok(taken)
    }

    /// The bytes up to the next newline, which is skipped.
    pub(crate) fn line(&mut self, missing: &str) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.pos..];
        let len = rest.iter().position(|&b| b == b'\n').ok_or_else(|| Error::Unfinished {
            format: self.format,
            offset: self.base + self.bytes.len() as u64,
            missing: missing.to_owned(),
        })?;
        self.pos += len + 1;
        Ok(&rest[..len])
    }

    /// Returns an error unless all bytes have been read.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.left() > 0 {
            return Err(Error::Excess { format: self.format, expected: self.offset() });
        }
        Ok(())
    }

    pub(crate) fn past_end(&self, claimed: u64, what: &str) -> Error {
        Error::PastEnd {
            format: self.format,
            offset: self.offset(),
            what: what.to_owned(),
            claimed,
            left: self.left() as u64,
        }
    }

    fn unfinished(&self, missing: &str) -> Error {
        let offset = self.base + self.bytes.len() as u64;
        Error::Unfinished { format: self.format, offset, missing: missing.to_owned() }
    }

    /// The error for malformed bytes at `offset`.
    pub(crate) fn malformed(&self, offset: u64, expected: &str, got: impl Into<String>) -> Error {
        Error::Malformed { format: self.format, offset, expected: expected.to_owned(), got: got.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_is_there() {
        let mut cursor = Cursor::new(Format::Npy, b"abc\nde", 10);
        assert_eq!(cursor.byte("x").unwrap(), b'a');
        assert_eq!(cursor.line("x").unwrap(), b"bc");
        assert!(matches!(cursor.line("an end"), Err(Error::Unfinished { offset: 16, .. })));
        for claimed in [3, u64::MAX] {
            let error = cursor.claimed(claimed, "a text").unwrap_err();
            assert!(matches!(error, Error::PastEnd { offset: 14, left: 2, .. }), "{error}");
        }
        assert!(matches!(cursor.finish(), Err(Error::Excess { expected: 14, .. })));
        assert_eq!(cursor.array("x").unwrap(), *b"de");
        assert_eq!(cursor.claimed(0, "nothing").unwrap(), b"");
        cursor.finish().unwrap();
        assert!(matches!(cursor.byte("more"), Err(Error::Unfinished { offset: 16, .. })));
    }
}
