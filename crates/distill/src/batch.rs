//! What an objective is given.

use fewstep_torch::{Device, Tensor};

use crate::error::{Error, Result};

/// Clean images with the noise drawn for them.
#[derive(Debug)]
pub struct Batch {
    /// Clean images in `[-1, 1]`, f64 `[B, C, H, W]`.
    pub x0: Tensor,
    /// Standard normal noise, f64 `[B, C, H, W]`.
    pub noise: Tensor,
    /// Labels, i64 `[B]`.
    pub labels: Option<Tensor>,
}

impl Batch {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.x0.size().first().copied().unwrap_or(0) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Device of the images.
    pub fn device(&self) -> Device {
        self.x0.device()
    }

    pub(crate) fn expect(&self, what: &'static str, got: usize) -> Result<()> {
        let expected = self.len();
        if got == expected { Ok(()) } else { Err(Error::Count { what, expected, got }) }
    }
}
