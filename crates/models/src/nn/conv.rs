//! Two-dimensional convolution.

use fewstep_torch::{LayoutBuilder, ParamId, Params, Tensor};

use crate::error::Result;
use crate::nn::LayerInit;

/// A square convolution.
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: ParamId,
    bias: Option<ParamId>,
    stride: i64,
    padding: i64,
    /// Zeros below and right of the image, beside those on all sides.
    trailing: i64,
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
        let mut layer = Self::without_bias(b, name, c_in, c_out, kernel, init)?;
        let area = kernel * kernel;
        let start = init.biases(area * c_in, area * c_out);
        layer.bias = Some(b.scope(name, |b| b.param("bias", &[c_out], start))?);
        Ok(layer)
    }

    /// The same without bias.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn without_bias(
        b: &mut LayoutBuilder,
        name: &str,
        c_in: i64,
        c_out: i64,
        kernel: i64,
        init: LayerInit,
    ) -> Result<Self> {
        let area = kernel * kernel;
        let start = init.weights(area * c_in, area * c_out);
        let weight = b.scope(name, |b| b.param("weight", &[c_out, c_in, kernel, kernel], start))?;
        Ok(Self { weight, bias: None, stride: 1, padding: kernel / 2, trailing: 0 })
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

    /// The same with `before` zeros above and left of the image, and `after` zeros below and right of it.
    #[must_use]
    pub fn with_padding(mut self, before: i64, after: i64) -> Self {
        (self.padding, self.trailing) = (before, after - before);
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
        let (s, d, more) = (self.stride, self.padding, self.trailing);
        let padded = (more != 0).then(|| x.f_constant_pad_nd([0, more, 0, more])).transpose()?;
        let x = padded.as_ref().unwrap_or(x);
        Ok(x.f_conv2d(&p[self.weight], self.bias.map(|id| &p[id]), [s, s], [d, d], [1, 1], 1)?)
    }
}
