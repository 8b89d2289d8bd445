//! A bound on the memory that reading a file may take.
//!
//! One byte of a pickle or of msgpack can be a value, which takes far more than a byte in memory. Pickles also share
//! values: a few bytes can refer to one tensor a thousand times, or to a list of lists of lists of one list. Each of these
//! is legal, so only their sum can be bounded: a reader spends from the allowance before it allocates.

use crate::error::{Error, Format, Result};

/// The allowance as a multiple of the file's size. The elements of all arrays take once the file's size, or twice if
/// weights are tied. The name, shape and other structure of an array take up to six times their bytes in the file, so only
/// models of many tiny tensors come near this limit.
const TIMES: u64 = 6;
/// Extra allowance for small files, which may have more structure than content: enough for about fifty thousand values.
const FLOOR: u64 = 2 << 20;

#[derive(Debug)]
pub(crate) struct Allowance {
    format: Format,
    limit: u64,
    left: u64,
    /// Whether the limit comes from the file's size; otherwise the caller set it.
    is_of_size: bool,
}

impl Allowance {
    /// The allowance of a file with `len` bytes.
    pub(crate) fn new(format: Format, len: u64) -> Self {
        let limit = len.saturating_mul(TIMES).saturating_add(FLOOR);
        Self { format, limit, left: limit, is_of_size: true }
    }

    /// An allowance of `limit` bytes, whatever the file's size.
    pub(crate) fn set(format: Format, limit: u64) -> Self {
        Self { format, limit, left: limit, is_of_size: false }
    }

    /// Spends `bytes`. Call it before allocating them.
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

    /// Spends the size of `n` values of type `T`.
    pub(crate) fn spend_on<T>(&mut self, n: usize) -> Result<()> {
        self.spend((n as u64).saturating_mul(size_of::<T>() as u64))
    }

    /// Runs `build` and restores what it spent. Use it if everything that `build` allocates is freed when it returns.
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
    fn spending_lasts_and_lending_is_restored() {
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
