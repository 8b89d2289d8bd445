//! The blocks of a level, and how the paths change their resolution.

use fewstep_torch::{LayoutBuilder, Params, Tensor};

use crate::conditions::BlockInputs;
use crate::ddpm::{Heads, Resampling};
use crate::error::Result;
use crate::nn::{Conv2d, Groups, nearest_upsample_2x};
use crate::residual::{ResBlock, ResStyle, Resize};
use crate::unet2d::attention::{Attention, AttentionShape};
use crate::unet2d::config::UNet2dConfig;

/// The residual blocks of this network, under diffusers' names.
pub(crate) fn style(c: &UNet2dConfig) -> ResStyle {
    ResStyle {
        emb_channels: c.embedding_channels,
        affine: c.affine_time,
        groups: Groups::Fixed(c.norm_groups),
        eps: c.norm_eps,
        activation: c.activation,
        divisor: 1.0,
        time: "time_emb_proj",
        skip: "conv_shortcut",
    }
}

/// An attention over `channels` channels.
pub(crate) fn attention(
    b: &mut LayoutBuilder,
    c: &UNet2dConfig,
    channels: i64,
    norm_groups: Option<i64>,
    divisor: f64,
) -> Result<Attention> {
    let (heads, width) = match c.heads {
        Heads::Count(n) => (n, channels / n),
        Heads::Width(w) => (channels / w, w),
    };
    let norm = norm_groups.map(|groups| (groups, c.norm_eps));
    Attention::new(b, AttentionShape { channels, heads, width, norm, divisor })
}

/// A residual block with the attention after it.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    res: ResBlock,
    attention: Option<Attention>,
}

impl Block {
    pub(crate) fn forward(&self, p: &Params, x: &Tensor, inputs: &BlockInputs<'_>) -> Result<Tensor> {
        let h = self.res.forward(p, x, inputs)?;
        match &self.attention {
            Some(attention) => attention.forward(p, &h),
            None => Ok(h),
        }
    }
}

/// A change of resolution between two levels.
#[derive(Clone, Debug)]
pub(crate) enum Resampler {
    Down(Conv2d),
    Up(Conv2d),
    Residual(Box<ResBlock>),
}

impl Resampler {
    pub(crate) fn forward(&self, p: &Params, x: &Tensor, inputs: &BlockInputs<'_>) -> Result<Tensor> {
        match self {
            Self::Down(conv) => conv.forward(p, x),
            Self::Up(conv) => conv.forward(p, &nearest_upsample_2x(x)?),
            Self::Residual(block) => block.forward(p, x, inputs),
        }
    }
}

/// One level of a path.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    pub(crate) blocks: Vec<Block>,
    pub(crate) resampler: Option<Resampler>,
}

impl Level {
    /// Adds the level's tensors under the current prefix: a block per entry of `channels_in`, then `resize`.
    pub(crate) fn new(
        b: &mut LayoutBuilder,
        c: &UNet2dConfig,
        (channels_in, width): (&[i64], i64),
        attended: bool,
        resize: Option<(Resize, Resampling)>,
    ) -> Result<Self> {
        let style = style(c);
        let mut blocks = Vec::with_capacity(channels_in.len());
        for (i, &c_in) in channels_in.iter().enumerate() {
            let res =
                b.scope(format!("resnets.{i}"), |b| ResBlock::new(b, &style, c_in, width, Resize::Keep))?;
            let attention = match attended {
                true => Some(b.scope(format!("attentions.{i}"), |b| {
                    attention(b, c, width, Some(c.norm_groups), 1.0)
                })?),
                false => None,
            };
            blocks.push(Block { res, attention });
        }
        let resampler = match resize {
            None => None,
            Some((resize, resampling)) => Some(resampler(b, c, width, resize, resampling)?),
        };
        Ok(Self { blocks, resampler })
    }
}

fn resampler(
    b: &mut LayoutBuilder,
    c: &UNet2dConfig,
    width: i64,
    resize: Resize,
    resampling: Resampling,
) -> Result<Resampler> {
    let name = if resize == Resize::Up { "upsamplers.0" } else { "downsamplers.0" };
    b.scope(name, |b| {
        if resampling == Resampling::Residual {
            return Ok(Resampler::Residual(Box::new(ResBlock::new(b, &style(c), width, width, resize)?)));
        }
        let conv = Conv2d::new(b, "conv", width, width, 3, 1.0)?;
        if resize == Resize::Up {
            return Ok(Resampler::Up(conv));
        }
        let conv = conv.with_stride(2);
        Ok(Resampler::Down(if c.one_sided_padding { conv.with_padding(0, 1) } else { conv }))
    })
}
