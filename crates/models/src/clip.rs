//! Clipping of the estimated clean image.

use fewstep_torch::{ScalarOps, Tensor};
use serde::{Deserialize, Serialize};

use crate::denoiser::Denoiser;
use crate::error::{Error, Result};
use crate::levels::Levels;

/// Whether `x0_hat` is brought back to the range of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum X0Clip {
    /// The clean image is left as it is.
    Off,
    /// The clean image is clamped to `[-1, 1]`.
    #[default]
    UnitRange,
    /// The clean image is clamped to so much on both sides of 0, as in `{ range = 1.5 }`.
    Range(f64),
}

impl X0Clip {
    /// Checks the range.
    ///
    /// # Errors
    /// A range that is not a number above 0.
    pub fn validate(self) -> Result<()> {
        match self {
            Self::Range(range) if !(range.is_finite() && range > 0.0) => {
                let problem = format!("range must be a number above 0, is {range}");
                Err(Error::Config { key: "clip", problem })
            }
            _ => Ok(()),
        }
    }

    /// Applies the choice.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn apply(self, x0_hat: &Tensor) -> Result<Tensor> {
        match self {
            Self::Off => Ok(x0_hat.shallow_clone()),
            Self::UnitRange => Ok(x0_hat.clamp_number(-1.0, 1.0)?),
            Self::Range(range) => Ok(x0_hat.clamp_number(-range, range)?),
        }
    }
}

/// A denoiser whose answers are clipped.
#[derive(Clone, Copy, Debug)]
pub struct Clipped<D> {
    inner: D,
    clip: X0Clip,
}

impl<D: Denoiser> Clipped<D> {
    /// Clips the answers of `inner`.
    pub fn new(inner: D, clip: X0Clip) -> Self {
        Self { inner, clip }
    }
}

impl<D: Denoiser> Denoiser for Clipped<D> {
    fn denoise(&self, x_t: &Tensor, at: &Levels) -> Result<Tensor> {
        self.clip.apply(&self.inner.denoise(x_t, at)?)
    }
}
