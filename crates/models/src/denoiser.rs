//! The one question asked of every model.

use fewstep_torch::Tensor;

use crate::error::{Error, Result};
use crate::levels::Levels;

/// An estimate of the clean image from a noisy one: `E[x0 | x_t]`.
///
/// Whatever else the estimate depends on (labels, dropout, clipping, guidance) is part of the denoiser: a wrapper around
/// another one, such as [`Clipped`](crate::Clipped), or a [`NetworkDenoiser`](crate::NetworkDenoiser) with its conditions.
pub trait Denoiser {
    /// The estimate `x0_hat` of the clean images.
    ///
    /// # Shapes
    /// `x_t` is f64 `[B, C, H, W]` at the noise levels `at`, one per sample; the result is f64 `[B, C, H, W]` on the same
    /// device.
    ///
    /// # Errors
    /// Shapes that do not fit, a label out of range, or a failure of libtorch.
    fn denoise(&self, x_t: &Tensor, at: &Levels) -> Result<Tensor>;
}

impl<D: Denoiser + ?Sized> Denoiser for &D {
    fn denoise(&self, x_t: &Tensor, at: &Levels) -> Result<Tensor> {
        (**self).denoise(x_t, at)
    }
}

/// `Err` unless there is one level for each image of a batch of images.
pub(crate) fn check_batch(x_t: &Tensor, at: &Levels) -> Result<()> {
    let size = x_t.size();
    if size.len() == 4 && size[0] == at.len() as i64 {
        return Ok(());
    }
    Err(Error::Input {
        what: "x_t",
        expected: format!("[{}, C, H, W], one level per sample", at.len()),
        got: size,
    })
}
