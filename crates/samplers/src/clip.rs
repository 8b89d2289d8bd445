//! Clipping of the estimated clean image.

use fewstep_torch::{ScalarOps, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Whether `x0_hat` is brought back to the range of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum X0Clip {
    /// Left as it is.
    Off,
    /// Clamped to `[-1, 1]`.
    #[default]
    UnitRange,
}

impl X0Clip {
    /// Applies the choice.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn apply(self, x0_hat: &Tensor) -> Result<Tensor> {
        match self {
            Self::Off => Ok(x0_hat.shallow_clone()),
            Self::UnitRange => Ok(x0_hat.clamp_number(-1.0, 1.0)?),
        }
    }
}
