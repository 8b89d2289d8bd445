//! Two-dimensional convolution with bias.

use fewstep_torch::{LayoutBuilder, ParamId, Params, Tensor};

use crate::error::Result;
use crate::nn::LayerInit;

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
        Self::with_init(b, name, c_in, c_out, kernel, LayerInit::xavier(gain))
    }

    /// The same with another start.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn with_init(
        b: &mut LayoutBuilder,
        name: &str,
        c_in: i64,
        c_out: i64,
        kernel: i64,
        init: LayerInit,
    ) -> Result<Self> {
        let area = kernel * kernel;
        let (fan_in, fan_out) = (area * c_in, area * c_out);
        let (weight, bias) = b.scope(name, |b| -> Result<_> {
            let weight = b.param("weight", &[c_out, c_in, kernel, kernel], init.weights(fan_in, fan_out))?;
            Ok((weight, b.param("bias", &[c_out], init.biases(fan_in, fan_out))?))
        })?;
        Ok(Self { weight, bias, stride: 1, padding: kernel / 2 })
    }

    /// A number that goes with the layer's name.
    pub(crate) fn key(&self) -> u64 {
        self.weight.key()
    }

    /// The same with another stride; the padding stays on all sides.
    #[must_use]
    pub fn with_stride(mut self, stride: i64) -> Self {
        self.stride = stride;
        self
    }

    /// The same with more zeros on all sides: the image grows by twice as many pixels.
    #[must_use]
    pub fn with_more_padding(mut self, pixels: i64) -> Self {
        self.padding += pixels;
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
