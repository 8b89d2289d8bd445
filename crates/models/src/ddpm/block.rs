//! The residual block, and the block with optional attention that levels are made of.

use fewstep_torch::{LayoutBuilder, Params, ScalarOps, Tensor};

use crate::conditions::BlockInputs;
use crate::ddpm::config::{DdpmConfig, norm_groups};
use crate::error::Result;
use crate::nn::{Conv2d, GroupNorm, Linear, SelfAttention, average_pool_2x, nearest_upsample_2x};

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

/// Norm, SiLU, (resample,) convolution; time; norm, SiLU, convolution; plus the input by a skip path, unscaled.
#[derive(Clone, Debug)]
pub(crate) struct ResBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    skip: Option<Conv2d>,
    affine: bool,
    resize: Resize,
}

impl ResBlock {
    /// Adds the block's tensors under the current prefix. The second convolution starts as zero.
    pub(crate) fn new(
        b: &mut LayoutBuilder,
        c: &DdpmConfig,
        c_in: i64,
        c_out: i64,
        resize: Resize,
    ) -> Result<Self> {
        let time_out = if c.affine_time { 2 * c_out } else { c_out };
        Ok(Self {
            norm1: GroupNorm::new(b, "norm1", c_in, norm_groups(c_in), 1e-5)?,
            conv1: Conv2d::new(b, "conv1", c_in, c_out, 3, 1.0)?,
            // The reference counts the SiLU before it as time.0.
            time: Linear::new(b, "time.1", c.embedding_channels, time_out)?,
            norm2: GroupNorm::new(b, "norm2", c_out, norm_groups(c_out), 1e-5)?,
            conv2: Conv2d::new(b, "conv2", c_out, c_out, 3, 0.0)?,
            skip: if c_in == c_out { None } else { Some(Conv2d::new(b, "skip", c_in, c_out, 1, 1.0)?) },
            affine: c.affine_time,
            resize,
        })
    }

    /// The embedding comes through its SiLU, `[B, embedding_channels]`.
    pub(crate) fn forward(&self, p: &Params, x: &Tensor, inputs: &BlockInputs<'_>) -> Result<Tensor> {
        let h = self.resize.apply(&self.norm1.forward(p, x)?.f_silu()?)?;
        let h = self.conv1.forward(p, &h)?;
        let time = self.time.forward(p, &inputs.emb)?.f_unsqueeze(-1)?.f_unsqueeze(-1)?;
        let h = if self.affine {
            let parts = time.f_chunk(2, 1)?;
            // norm * (1 + scale) + shift, with the sum inside the multiplication: one pass less over the image.
            let normed = self.norm2.forward(p, &h)?;
            normed.f_mul(&parts[0].add_number(1.0)?)?.f_add(&parts[1])?
        } else {
            self.norm2.forward(p, &h.f_add(&time)?)?
        };
        let h = inputs.dropped(h.f_silu()?, self.conv2.key())?;
        let h = self.conv2.forward(p, &h)?;
        let x = self.resize.apply(x)?;
        let x = match &self.skip {
            Some(skip) => skip.forward(p, &x)?,
            None => x,
        };
        Ok(x.f_add(&h)?)
    }
}

/// A residual block, followed by attention where the resolution asks for it.
#[derive(Clone, Debug)]
pub(crate) struct AttnBlock {
    block: ResBlock,
    attention: Option<SelfAttention>,
}

impl AttnBlock {
    pub(crate) fn new(
        b: &mut LayoutBuilder,
        c: &DdpmConfig,
        c_in: i64,
        c_out: i64,
        attention: bool,
    ) -> Result<Self> {
        let block = b.scope("resblocks", |b| ResBlock::new(b, c, c_in, c_out, Resize::Keep))?;
        let attention = if attention {
            let (heads, groups) = (c.heads_for(c_out), norm_groups(c_out));
            Some(SelfAttention::new(b, "attention", c_out, heads, groups)?)
        } else {
            None
        };
        Ok(Self { block, attention })
    }

    pub(crate) fn forward(&self, p: &Params, x: &Tensor, inputs: &BlockInputs<'_>) -> Result<Tensor> {
        let h = self.block.forward(p, x, inputs)?;
        match &self.attention {
            Some(attention) => attention.forward(p, &h),
            None => Ok(h),
        }
    }
}
