//! Resampling by two with a filter (EDM, arXiv 2206.00364; after StyleGAN2's, arXiv 1912.04958).

use fewstep_torch::{LayoutBuilder, ParamId, Params, ScalarOps, Tensor};

use crate::error::Result;
use crate::nn::{average_pool_2x, nearest_upsample_2x};

/// A separable filter with an even number of taps, in the buffer `resample_filter`: `outer(f, f) / sum(f)^2`.
#[derive(Clone, Debug)]
pub struct ResampleFilter {
    buffer: ParamId,
    taps: i64,
    /// Two equal taps: averages and repetitions, for which libtorch has faster operations.
    is_box: bool,
}

impl ResampleFilter {
    /// Adds the filter's buffer under the current prefix; the caller has made sure that the number of taps is even and
    /// their sum is not zero.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn new(b: &mut LayoutBuilder, taps: &[f64]) -> Result<Self> {
        let n = taps.len() as i64;
        let square = taps.iter().sum::<f64>().powi(2);
        let values = taps.iter().flat_map(|r| taps.iter().map(move |c| (r * c / square) as f32)).collect();
        let buffer = b.computed("resample_filter", &[1, 1, n, n], values)?;
        Ok(Self { buffer, taps: n, is_box: matches!(taps, [a, b] if a == b) })
    }

    /// Zeros that a filter of this length needs on all sides to halve or double a size.
    pub fn padding(&self) -> i64 {
        (self.taps - 1) / 2
    }

    /// # Shapes
    /// `[B, C, H, W] -> [B, C, H/2, W/2]`.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn down(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        self.down_padded(p, x, self.padding())
    }

    /// The same for an image that has its padding already.
    ///
    /// # Shapes
    /// `[B, C, H + 2 padding, W + 2 padding] -> [B, C, H/2, W/2]`.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn down_unpadded(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        self.down_padded(p, x, 0)
    }

    fn down_padded(&self, p: &Params, x: &Tensor, padding: i64) -> Result<Tensor> {
        if self.is_box {
            return average_pool_2x(x);
        }
        let c = x.size()[1];
        let d = [padding, padding];
        Ok(x.f_conv2d(&self.per_channel(p, c)?, None::<&Tensor>, [2, 2], d, [1, 1], c)?)
    }

    /// # Shapes
    /// `[B, C, H, W] -> [B, C, 2H, 2W]`.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn up(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        if self.is_box {
            return nearest_upsample_2x(x);
        }
        let (c, d) = (x.size()[1], self.padding());
        let filter = self.per_channel(p, c)?.mul_number(4.0)?;
        Ok(x.f_conv_transpose2d(&filter, None::<&Tensor>, [2, 2], [d, d], [0, 0], c, [1, 1])?)
    }

    /// The filter for each of `c` channels, `[c, 1, n, n]`.
    fn per_channel(&self, p: &Params, c: i64) -> Result<Tensor> {
        Ok(p[self.buffer].f_expand([c, 1, self.taps, self.taps], false)?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use fewstep_torch::{Device, Kind};

    fn filter(taps: &[f64]) -> (ResampleFilter, Params) {
        let mut b = LayoutBuilder::new();
        let filter = ResampleFilter::new(&mut b, taps).unwrap();
        let layout = Arc::new(b.build());
        let flat = layout.initial(0).unwrap();
        (filter, Params::frozen(layout, &flat).unwrap())
    }

    /// Every output pixel by its definition, as a sum over the input, in f64.
    fn by_definition(taps: &[f64], x: &[f64], up: bool) -> Vec<f64> {
        let (n, size) = (taps.len() as i64, x.len() as i64);
        let (sum, pad) = (taps.iter().sum::<f64>(), (n - 1) / 2);
        let pixel = |i: i64| if (0..size).contains(&i) { x[i as usize] } else { 0.0 };
        let tap = |j: i64| if (0..n).contains(&j) { taps[j as usize] / sum } else { 0.0 };
        if up {
            // Input pixel i lands on outputs 2 i + j - pad.
            (0..2 * size)
                .map(|o| 2.0 * (0..size).map(|i| pixel(i) * tap(o + pad - 2 * i)).sum::<f64>())
                .collect()
        } else {
            (0..size / 2).map(|o| (0..n).map(|j| tap(j) * pixel(2 * o + j - pad)).sum()).collect()
        }
    }

    #[test]
    fn both_directions_follow_the_definition_along_each_axis() {
        let rows = [0.3, -0.8, 1.0, 0.25, -0.5, 0.6];
        let columns = [1.0, -0.2, 0.7, 0.4, 0.9, -1.0];
        // A product of a row and a column: the filter is separable, so the answer is one too.
        let image = |r: &[f64], c: &[f64]| Tensor::from_slice(r).outer(&Tensor::from_slice(c));
        let x = image(&rows, &columns).to_kind(Kind::Float).expand([2, 3, 6, 6], false);
        for taps in [&[1.0, 1.0][..], &[1.0, 3.0], &[1.0, 3.0, 3.0, 1.0], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]] {
            let (f, p) = filter(taps);
            for (up, got) in [(false, f.down(&p, &x).unwrap()), (true, f.up(&p, &x).unwrap())] {
                let want = image(&by_definition(taps, &rows, up), &by_definition(taps, &columns, up));
                let error = (got - want).abs().max().double_value(&[]);
                // Sums of at most 36 products, each below 4.
                assert!(error < 144.0 * f64::from(f32::EPSILON), "{taps:?}, up: {up}: {error}");
            }
        }
    }

    #[test]
    fn a_constant_image_stays_constant_inside() {
        let (f, p) = filter(&[1.0, 3.0, 3.0, 1.0]);
        let x = Tensor::full([1, 1, 8, 8], 2.5, (Kind::Float, Device::Cpu));
        for y in [f.down(&p, &x).unwrap(), f.up(&p, &x).unwrap()] {
            let n = y.size()[2];
            let inside = y.narrow(2, 1, n - 2).narrow(3, 1, n - 2);
            assert!((inside - 2.5).abs().max().double_value(&[]) < 1e-6);
        }
    }
}
