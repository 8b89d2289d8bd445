//! Clipping of the estimated clean image.

use fewstep_torch::{ScalarOps, Tensor};
use serde::{Deserialize, Serialize};

use crate::denoiser::Denoiser;
use crate::error::Result;
use crate::levels::Levels;

/// Whether `x0_hat` is brought back to the range of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum X0Clip {
    /// The clean image is left as it is.
    Off,
    /// The clean image is clamped to `[-1, 1]`.
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
