//! Root mean square normalisation (arXiv 1910.07467) of the channels of every pixel.

use fewstep_torch::{Init, LayoutBuilder, ParamId, Params, ScalarOps, Tensor};

use crate::error::Result;

/// Shortest vector that is brought to length 1; shorter ones stay shorter, and zero stays zero.
const SHORTEST: f64 = 1e-12;

/// Scales the channels of a pixel to root mean square 1, then every channel by its own factor.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    factors: ParamId,
    /// Root of the number of channels: the length of a vector whose root mean square is 1.
    length: f64,
}

impl RmsNorm {
    /// Over `channels` channels. The factors are called `g`, and start as `init`.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn new(b: &mut LayoutBuilder, name: &str, channels: i64, init: Init) -> Result<Self> {
        let factors = b.scope(name, |b| b.param("g", &[1, channels, 1, 1], init))?;
        Ok(Self { factors, length: (channels as f64).sqrt() })
    }

    /// # Shapes
    /// `[B, C, H, W]` to the same.
    ///
    /// # Errors
    /// Channels that do not fit.
    pub fn forward(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        let (kind, factors) = (x.kind(), p.wide(self.factors));
        let x = x.f_to_kind(factors.kind())?;
        // The bound is on the square, not on the root, whose gradient at zero is infinite.
        let square = x.f_square()?.f_sum_dim_intlist(1i64, true, None)?.clamp_least(SHORTEST * SHORTEST)?;
        Ok(x.f_div(&square.f_sqrt()?)?.f_mul(&factors.mul_number(self.length)?)?.f_to_kind(kind)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_torch::{Device, Kind};
    use std::sync::Arc;

    #[test]
    fn pixels_have_root_mean_square_one_and_zero_is_zero_with_a_gradient() {
        let mut b = LayoutBuilder::new();
        let norm = RmsNorm::new(&mut b, "norm", 4, Init::Ones).unwrap();
        let layout = Arc::new(b.build());
        assert_eq!(layout.params()[0].name, "norm.g");
        let flat = Tensor::from_slice(&[1.0f64, 2.0, 3.0, 4.0]);
        let p = Params::frozen(layout, &flat).unwrap();
        let x = Tensor::arange(8, (Kind::Double, Device::Cpu)).view([1, 4, 2, 1]) * 1e-3;
        let x = x.slice_scatter(&Tensor::zeros([1, 4, 1, 1], (Kind::Double, Device::Cpu)), 2, 1, 2, 1);
        let x = x.set_requires_grad(true);
        let y = norm.forward(&p, &x).unwrap();
        // The first pixel is 0, 2, 4, 6 thousandths: its root mean square is sqrt(14) thousandths.
        for (c, v) in [0.0, 2.0, 4.0, 6.0].into_iter().enumerate() {
            let want = v / 14f64.sqrt() * (c + 1) as f64;
            assert!((y.double_value(&[0, c as i64, 0, 0]) - want).abs() < 1e-14);
            assert_eq!(y.double_value(&[0, c as i64, 1, 0]), 0.0);
        }
        y.sum(Kind::Double).backward();
        assert_eq!(i64::try_from(x.grad().isfinite().all().to_kind(Kind::Int64)).unwrap(), 1);
    }
}
