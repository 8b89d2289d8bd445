//! [`FeatureSpace`]: which space a feature row is of. It travels with the rows and enters the record.
//!
//! This module says what a space is; `spaces/` says how its rows are computed.

mod described;
mod named;
mod pool_three;
mod shape;

use crate::error::{Error, Result};
use described::Described;
use serde::{Deserialize, Serialize};
use std::fmt;

pub use named::NamedSpace;
pub(crate) use pool_three::FID_2015;
pub use pool_three::{PoolThree, Protocol};
pub use shape::ImageShape;

/// The space of a feature row, with everything that distinguishes it from other spaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FeatureSpace {
    /// The 8-bit pixels themselves, mapped to `[-1, 1]`.
    #[serde(rename = "pixels")]
    Pixels(ImageShape),
    /// The mean over the pixels of an Inception network's last block.
    #[serde(rename = "inception_pool3")]
    PoolThree(PoolThree),
    /// Another space, by the name that it gave itself.
    #[serde(rename = "named")]
    Named(NamedSpace),
}

impl FeatureSpace {
    pub(crate) fn description(&self) -> &dyn Described {
        match self {
            Self::Pixels(shape) => shape,
            Self::PoolThree(network) => network,
            Self::Named(space) => space,
        }
    }

    /// Features per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.description().width()
    }

    /// The space in the names of files that are kept of a reference. `None` where nothing is kept: pixels are taken in no time,
    /// and nobody here knows that the digest of a space from outside changes with its code.
    #[must_use]
    pub fn file_name(&self) -> Option<String> {
        self.description().file_name()
    }
}

impl fmt::Display for FeatureSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description().words())
    }
}

pub(crate) fn same_space(operation: &'static str, expected: &FeatureSpace, got: &FeatureSpace) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(Error::Space { operation, expected: expected.to_string(), got: got.to_string() })
}
