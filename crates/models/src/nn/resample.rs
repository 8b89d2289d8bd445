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

/// The four pixels of every 2x2 block as channels, those of one channel next to each other, row by row:
/// `[B, C, H, W] -> [B, 4C, H/2, W/2]`.
///
/// # Errors
/// A side that is odd.
pub fn space_to_depth_2x(x: &Tensor) -> Result<Tensor> {
    Ok(x.f_pixel_unshuffle(2)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_torch::{Device, Kind};

    #[test]
    fn the_pixels_of_a_block_become_neighbouring_channels_row_by_row() {
        // Two channels of 2x2 pixels, counted in their order in memory.
        let x = Tensor::arange(8, (Kind::Double, Device::Cpu)).view([1, 2, 2, 2]);
        let y = space_to_depth_2x(&x).unwrap();
        assert_eq!(y.size(), [1, 8, 1, 1]);
        assert_eq!(Vec::<f64>::try_from(y.view(-1)).unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert!(space_to_depth_2x(&x.narrow(3, 0, 1)).is_err());
    }
}
