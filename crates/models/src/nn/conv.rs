//! Two-dimensional convolution with bias.

use fewstep_torch::{Init, LayoutBuilder, ParamId, Params, Tensor};

use crate::error::Result;

/// A square convolution.
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: ParamId,
    bias: ParamId,
    stride: i64,
    padding: i64,
}

impl Conv2d {
    /// A `kernel x kernel` convolution that keeps the size, initialised uniformly by the average of fan-in and fan-out as in
    /// DDPM (arXiv 2006.11239), its weights scaled by `gain` (0: starts as zero).
    ///
    /// # Errors
    /// A name that is taken.
    pub fn new(
        b: &mut LayoutBuilder,
        name: &str,
        c_in: i64,
        c_out: i64,
        kernel: i64,
        gain: f64,
    ) -> Result<Self> {
        let area = (kernel * kernel) as f64;
        let bound = gain * (6.0 / (area * (c_in + c_out) as f64)).sqrt();
        let init = if gain == 0.0 { Init::Zeros } else { Init::Uniform(bound) };
        let (weight, bias) = b.scope(name, |b| -> Result<_> {
            let weight = b.param("weight", &[c_out, c_in, kernel, kernel], init)?;
            Ok((weight, b.param("bias", &[c_out], Init::Zeros)?))
        })?;
        Ok(Self { weight, bias, stride: 1, padding: kernel / 2 })
    }

    /// The same with another stride; the padding stays on all sides.
    #[must_use]
    pub fn with_stride(mut self, stride: i64) -> Self {
        self.stride = stride;
        self
    }

    /// # Shapes
    /// `[B, c_in, H, W] -> [B, c_out, H / stride, W / stride]`.
    ///
    /// # Errors
    /// Channels that do not fit.
    pub fn forward(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        let (s, d) = (self.stride, self.padding);
        Ok(x.f_conv2d(&p[self.weight], Some(&p[self.bias]), [s, s], [d, d], [1, 1], 1)?)
    }
}
