//! A bound on what a file may unfold to.
//!
//! Pickles share: a few bytes can name one tensor a thousand times, or a list of lists of lists of one list. Each use is
//! legal and the sum is not, so whatever is built out of shared parts is paid for here.

use crate::error::{Error, Format, Result};

/// Tied weights are stored once and named twice; more than four times its own bytes is no model.
const TIMES: u64 = 4;
/// Small files have small arrays, and longer names than arrays.
const FLOOR: u64 = 64 << 10;

pub(crate) struct Allowance {
    format: Format,
    limit: u64,
    left: u64,
}

impl Allowance {
    /// The allowance of a file with `len` bytes.
    pub(crate) fn new(format: Format, len: u64) -> Self {
        let limit = len.saturating_mul(TIMES).saturating_add(FLOOR);
        Self { format, limit, left: limit }
    }

    /// Pays for `bytes`, before they are allocated.
    pub(crate) fn spend(&mut self, bytes: u64) -> Result<()> {
        self.left =
            self.left.checked_sub(bytes).ok_or(Error::Unfolds { format: self.format, limit: self.limit })?;
        Ok(())
    }
}
