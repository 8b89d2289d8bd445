//! The residual block of DDPM's U-Nets, in the forms that its successors have.

use fewstep_torch::{LayoutBuilder, Params, ScalarOps, Tensor};

use crate::conditions::BlockInputs;
use crate::error::Result;
use crate::nn::{
    Activation, Around, Conv2d, GroupNorm, Groups, Linear, average_pool_2x, nearest_upsample_2x,
};

/// A change of resolution inside a residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resize {
    Keep,
    Down,
    Up,
}

impl Resize {
    fn apply(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Keep => Ok(x.shallow_clone()),
            Self::Down => average_pool_2x(x),
            Self::Up => nearest_upsample_2x(x),
        }
    }
}

/// What the residual blocks of a network have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResStyle {
    /// Channels of the embedding.
    pub(crate) emb_channels: i64,
    /// Whether the embedding scales and shifts the values after the second norm; else it is added before that norm.
    pub(crate) affine: bool,
    /// Groups of its norms.
    pub(crate) groups: Groups,
    /// Added to variances in norms.
    pub(crate) eps: f64,
    /// The nonlinearity.
    pub(crate) activation: Activation,
    /// What the sum of both paths is divided by.
    pub(crate) divisor: f64,
    /// Name of the layer that takes the embedding.
    pub(crate) time: &'static str,
    /// Name of the convolution of the skip path.
    pub(crate) skip: &'static str,
}

impl ResStyle {
    /// A norm over `channels`.
    pub(crate) fn norm(&self, b: &mut LayoutBuilder, name: &str, channels: i64) -> Result<GroupNorm> {
        GroupNorm::new(b, name, channels, self.groups.of(channels), self.eps)
    }
}

/// Norm, nonlinearity, (resample,) convolution; time; norm, nonlinearity, convolution; plus the input by a skip path.
#[derive(Clone, Debug)]
pub(crate) struct ResBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    skip: Option<Conv2d>,
    style: ResStyle,
    resize: Resize,
}

impl ResBlock {
    /// Adds the block's tensors under the current prefix. The second convolution starts as zero.
    pub(crate) fn new(
        b: &mut LayoutBuilder,
        style: &ResStyle,
        c_in: i64,
        c_out: i64,
        resize: Resize,
    ) -> Result<Self> {
        let time_out = if style.affine { 2 * c_out } else { c_out };
        Ok(Self {
            norm1: style.norm(b, "norm1", c_in)?,
            conv1: Conv2d::new(b, "conv1", c_in, c_out, 3, 1.0)?,
            time: Linear::new(b, style.time, style.emb_channels, time_out)?,
            norm2: style.norm(b, "norm2", c_out)?,
            conv2: Conv2d::new(b, "conv2", c_out, c_out, 3, 0.0)?,
            skip: if c_in == c_out { None } else { Some(Conv2d::new(b, style.skip, c_in, c_out, 1, 1.0)?) },
            style: *style,
            resize,
        })
    }

    /// The embedding comes through its nonlinearity, `[B, emb_channels]`.
    pub(crate) fn forward(&self, p: &Params, x: &Tensor, inputs: &BlockInputs<'_>) -> Result<Tensor> {
        let ResStyle { activation, divisor, affine, .. } = self.style;
        let h = self.norm1.forward_within(p, x, activation.into())?;
        let h = self.conv1.forward(p, &self.resize.apply(&h)?)?;
        let time = self.time.forward(p, &inputs.emb)?;
        let around = if affine {
            Around { scale_shift: Some(&time), ..activation.into() }
        } else {
            Around { before: Some(&time), ..activation.into() }
        };
        let h = inputs.dropped(self.norm2.forward_within(p, &h, around)?, self.conv2.key())?;
        let h = self.conv2.forward(p, &h)?;
        let x = self.resize.apply(x)?;
        let x = match &self.skip {
            Some(skip) => skip.forward(p, &x)?,
            None => x,
        };
        let sum = x.f_add(&h)?;
        Ok(if divisor == 1.0 { sum } else { sum.div_number(divisor)? })
    }
}
