//! Numbers that something is drawn from.

use std::num::NonZero;

use crate::error::Result;

/// A count that something is drawn from.
pub(crate) fn counted(n: usize) -> Result<NonZero<u64>> {
    let none = fewstep_schedules::Error::OutOfRange { name: "count", got: 0.0, expected: "at least 1" };
    Ok(NonZero::new(n as u64).ok_or(none)?)
}
