//! Resampling by two without parameters.

use fewstep_torch::Tensor;

use crate::error::Result;

/// Mean of every 2x2 block: `[B, C, H, W] -> [B, C, H/2, W/2]`.
///
/// # Errors
/// libtorch fails.
pub fn average_pool_2x(x: &Tensor) -> Result<Tensor> {
    Ok(x.f_avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)?)
}

/// Every pixel repeated in a 2x2 block: `[B, C, H, W] -> [B, C, 2H, 2W]`.
///
/// # Errors
/// libtorch fails.
pub fn nearest_upsample_2x(x: &Tensor) -> Result<Tensor> {
    let size = x.size();
    Ok(x.f_upsample_nearest2d([size[2] * 2, size[3] * 2], None, None)?)
}
