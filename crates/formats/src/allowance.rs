//! A bound on the memory that a file may take.
//!
//! One byte of a pickle or of msgpack can be a value, which takes far more than a byte. Pickles also share: a few bytes
//! can name one tensor a thousand times, or a list of lists of lists of one list. Each is legal and the sum is not, so
//! whatever is built out of a file is paid for here before it is allocated.

use crate::error::{Error, Format, Result};

/// Arrays are once the file, or twice if weights are tied. What stands around an array takes up to six times what the
/// file spells it with, so only a model of nothing but tensors of a few numbers each comes near this.
const TIMES: u64 = 6;
/// Small files may have more structure than content: so much is room for some fifty thousand values.
const FLOOR: u64 = 2 << 20;

#[derive(Debug)]
pub(crate) struct Allowance {
    format: Format,
    limit: u64,
    left: u64,
    /// Whether the limit comes from the file's size, or was set.
    is_of_size: bool,
}

impl Allowance {
    /// The allowance of a file with `len` bytes.
    pub(crate) fn new(format: Format, len: u64) -> Self {
        let limit = len.saturating_mul(TIMES).saturating_add(FLOOR);
        Self { format, limit, left: limit, is_of_size: true }
    }

    /// An allowance of so many bytes, whatever the file.
    pub(crate) fn set(format: Format, limit: u64) -> Self {
        Self { format, limit, left: limit, is_of_size: false }
    }

    /// Pays for `bytes`, before they are allocated.
    pub(crate) fn spend(&mut self, bytes: u64) -> Result<()> {
        let (format, limit) = (self.format, self.limit);
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            if self.is_of_size {
                return Error::Unfolds { format, limit };
            }
            let needed = (limit - self.left).saturating_add(bytes);
            Error::OverLimit { format, part: "what is asked of it".to_owned(), needed, limit }
        })?;
        Ok(())
    }

    /// Pays for `n` values of a type.
    pub(crate) fn spend_on<T>(&mut self, n: usize) -> Result<()> {
        self.spend((n as u64).saturating_mul(size_of::<T>() as u64))
    }

    /// Gives back what `build` spends: all that it makes is gone when it returns.
    pub(crate) fn lend<T>(&mut self, build: impl FnOnce(&mut Self) -> T) -> T {
        let left = self.left;
        let built = build(self);
        self.left = left;
        built
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_gone_and_what_is_lent_comes_back() {
        let mut allowance = Allowance::new(Format::Npz, 100);
        let limit = FLOOR + 600;
        allowance.spend(limit - 16).unwrap();
        for _ in 0..3 {
            allowance.lend(|allowance| allowance.spend_on::<u64>(2)).unwrap();
        }
        let error = allowance.spend_on::<u64>(3).unwrap_err();
        assert!(matches!(error, Error::Unfolds { limit: named, .. } if named == limit), "{error}");
        assert!(allowance.spend_on::<u64>(usize::MAX).is_err());
        allowance.spend(16).unwrap();
        assert!(allowance.spend(1).is_err());
    }
}
