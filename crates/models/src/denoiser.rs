//! The one question asked of every model.

use fewstep_torch::Tensor;

use crate::error::{Error, Result};
use crate::levels::Levels;

/// Something that estimates the clean image from a noisy one: `E[x0 | x_t]`.
pub trait Denoiser {
    /// The estimate `x0_hat` of the clean images, unclipped.
    ///
    /// # Shapes
    /// `x_t` is f64 `[B, C, H, W]` at the noise levels `at` (one a sample), `labels` is i64 `[B]`; the result is f64
    /// `[B, C, H, W]` on the same device.
    ///
    /// # Errors
    /// Shapes that do not fit, a label out of range, or a failure of libtorch.
    fn denoise(&self, x_t: &Tensor, at: &Levels, labels: Option<&Tensor>) -> Result<Tensor>;
}

impl<D: Denoiser + ?Sized> Denoiser for &D {
    fn denoise(&self, x_t: &Tensor, at: &Levels, labels: Option<&Tensor>) -> Result<Tensor> {
        (**self).denoise(x_t, at, labels)
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
        expected: format!("[{}, C, H, W], one level a sample", at.len()),
        got: size,
    })
}
