//! The residual block of EDM's networks, with attention inside.

use fewstep_torch::{LayoutBuilder, Params, ScalarOps, Tensor};

use crate::conditions::BlockInputs;
use crate::edm::conv::{Resize, ResizingConv};
use crate::error::{Error, Result};
use crate::nn::{Activation, Around, Conv2d, GroupNorm, LayerInit, Linear, attend};

/// What all blocks of a network share.
#[derive(Clone, Debug)]
pub(crate) struct BlockStyle {
    /// Width of the embedding.
    pub(crate) emb_channels: i64,
    /// The embedding scales and shifts after the second norm (ADM); else it is added before it.
    pub(crate) adaptive_scale: bool,
    /// Factor on every sum of a residual connection.
    pub(crate) skip_scale: f64,
    /// Of all norms.
    pub(crate) eps: f64,
    /// Taps of the resampling filter.
    pub(crate) taps: Vec<f64>,
    /// The skip path of a resampling block is convolved also where channels stay.
    pub(crate) resample_proj: bool,
    /// Channels of a head; none: one head.
    pub(crate) head_channels: Option<i64>,
    /// Start of most layers.
    pub(crate) init: LayerInit,
    /// Start of the last layer of a residual path.
    pub(crate) init_zero: LayerInit,
    /// Start of queries, keys and values.
    pub(crate) init_attention: LayerInit,
}

impl BlockStyle {
    /// A norm over `channels` channels in `min(32, channels / 4)` groups.
    pub(crate) fn norm(&self, b: &mut LayoutBuilder, name: &str, channels: i64) -> Result<GroupNorm> {
        let groups = (channels / 4).min(32);
        if groups < 1 || channels % groups != 0 {
            let problem = format!(
                "a norm of the network has {channels} channels, which cannot be split into {} groups",
                groups.max(1)
            );
            return Err(Error::Config { key: "channels", problem });
        }
        GroupNorm::new(b, name, channels, groups, self.eps)
    }

    fn heads(&self, channels: i64) -> Result<i64> {
        let Some(width) = self.head_channels else { return Ok(1) };
        let heads = channels / width;
        if heads < 1 || channels % heads != 0 {
            let problem = format!("attention over {channels} channels cannot be split into heads of {width}");
            return Err(Error::Config { key: "head_channels", problem });
        }
        Ok(heads)
    }
}

/// What one block is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockShape {
    pub(crate) c_in: i64,
    pub(crate) c_out: i64,
    pub(crate) resize: Resize,
    pub(crate) attention: bool,
}

/// `h = conv0(silu(norm0(x)))` with resampling inside, the embedding, `silu`, `conv1`; plus the skip path, scaled; then
/// attention plus its input, scaled.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    norm0: GroupNorm,
    conv0: ResizingConv,
    affine: Linear,
    norm1: GroupNorm,
    conv1: Conv2d,
    skip: Option<ResizingConv>,
    attention: Option<Attention>,
    adaptive_scale: bool,
    skip_scale: f64,
}

impl Block {
    /// Adds the block's tensors under the current prefix.
    pub(crate) fn new(b: &mut LayoutBuilder, style: &BlockStyle, shape: BlockShape) -> Result<Self> {
        let BlockShape { c_in, c_out, resize, attention } = shape;
        let s = style;
        let affine_out = if s.adaptive_scale { 2 * c_out } else { c_out };
        let skip = if c_in == c_out && resize == Resize::Keep {
            None
        } else {
            let skip = ResizingConv::resampling(b, "skip", resize, &s.taps)?;
            let projects = s.resample_proj || c_in != c_out;
            Some(if projects { skip.with_kernel(b, "skip", (c_in, c_out), 1, s.init)? } else { skip })
        };
        Ok(Self {
            norm0: s.norm(b, "norm0", c_in)?,
            conv0: ResizingConv::resampling(b, "conv0", resize, &s.taps)?.with_kernel(
                b,
                "conv0",
                (c_in, c_out),
                3,
                s.init,
            )?,
            affine: Linear::with_init(b, "affine", s.emb_channels, affine_out, s.init)?,
            norm1: s.norm(b, "norm1", c_out)?,
            conv1: Conv2d::with_init(b, "conv1", c_out, c_out, 3, s.init_zero)?,
            skip,
            attention: if attention { Some(Attention::new(b, s, c_out)?) } else { None },
            adaptive_scale: s.adaptive_scale,
            skip_scale: s.skip_scale,
        })
    }

    /// `x` `[B, c_in, H, W]`; result `[B, c_out, H', W']`.
    pub(crate) fn forward(&self, p: &Params, x: &Tensor, inputs: &BlockInputs<'_>) -> Result<Tensor> {
        let silu = Activation::Silu;
        let h = self.conv0.forward(p, &self.norm0.forward_within(p, x, silu.into())?)?;
        let emb = self.affine.forward(p, &inputs.emb)?;
        let around = if self.adaptive_scale {
            Around { scale_shift: Some(&emb), ..silu.into() }
        } else {
            Around { before: Some(&emb), ..silu.into() }
        };
        let h = inputs.dropped(self.norm1.forward_within(p, &h, around)?, self.conv1.key())?;
        let h = self.conv1.forward(p, &h)?;
        let x = match &self.skip {
            Some(skip) => skip.forward(p, x)?,
            None => x.shallow_clone(),
        };
        let x = self.scaled(h.f_add(&x)?)?;
        match &self.attention {
            Some(attention) => self.scaled(attention.forward(p, &x)?.f_add(&x)?),
            None => Ok(x),
        }
    }

    fn scaled(&self, x: Tensor) -> Result<Tensor> {
        Ok(if self.skip_scale == 1.0 { x } else { x.mul_number(self.skip_scale)? })
    }
}

/// Attention over pixels; the output of `qkv` holds, head by head and channel by channel, q, k and v.
#[derive(Clone, Debug)]
struct Attention {
    norm2: GroupNorm,
    qkv: Conv2d,
    proj: Conv2d,
    heads: i64,
}

impl Attention {
    fn new(b: &mut LayoutBuilder, style: &BlockStyle, channels: i64) -> Result<Self> {
        Ok(Self {
            norm2: style.norm(b, "norm2", channels)?,
            qkv: Conv2d::with_init(b, "qkv", channels, 3 * channels, 1, style.init_attention)?,
            proj: Conv2d::with_init(b, "proj", channels, channels, 1, style.init_zero)?,
            heads: style.heads(channels)?,
        })
    }

    /// `[B, C, H, W]` to the same, without the residual connection.
    fn forward(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        let size = x.size();
        let (n, c, pixels) = (size[0], size[1], size[2] * size[3]);
        let qkv = self.qkv.forward(p, &self.norm2.forward(p, x)?)?;
        let qkv = qkv.f_view([n, self.heads, c / self.heads, 3, pixels])?.f_permute([3, 0, 1, 4, 2])?;
        self.proj.forward(p, &attend(&qkv)?.f_view([n, c, size[2], size[3]])?)
    }
}
