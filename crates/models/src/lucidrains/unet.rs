//! The U-Net itself: two saved outputs per level on the way down, taken again on the way up.

use fewstep_torch::{LayoutBuilder, Params, Tensor};

use crate::conditions::{BlockInputs, Conditions};
use crate::error::{Error, Result};
use crate::lucidrains::attention::Attention;
use crate::lucidrains::block::Block;
use crate::lucidrains::config::{AttentionKind, LevelAttention, LucidrainsConfig};
use crate::nn::{
    Activation, Conv2d, Linear, SinusoidOrder, nearest_upsample_2x, position_frequencies, sinusoids,
    space_to_depth_2x,
};
use crate::timed::Backbone;

/// Largest period of the time's sinusoids.
const MAX_PERIOD: f64 = 10_000.0;

/// The down path saves two outputs for each level of the up path.
const UNPAIRED: Error = Error::Fault("a block of the up path finds no saved output of the down path");

/// A U-Net: parameter handles and the order of its layers. It holds no tensors.
#[derive(Clone, Debug)]
pub(crate) struct LucidrainsUnet {
    frequencies: Vec<f64>,
    time: [Linear; 2],
    first: Conv2d,
    down: Vec<Level>,
    mid: (Block, Attention, Block),
    up: Vec<Level>,
    last_block: Block,
    last: Conv2d,
}

/// One level of a path.
#[derive(Clone, Debug)]
struct Level {
    blocks: [Block; 2],
    attention: Attention,
    resampler: Resampler,
}

/// How a level hands its image on.
#[derive(Clone, Debug)]
enum Resampler {
    /// Pixels become channels, then a convolution of one pixel.
    Down(Conv2d),
    /// Pixels are repeated, then a convolution.
    Up(Conv2d),
    /// A convolution, at a path's last level.
    Keep(Conv2d),
}

impl Resampler {
    fn forward(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Down(conv) => conv.forward(p, &space_to_depth_2x(x)?),
            Self::Up(conv) => conv.forward(p, &nearest_upsample_2x(x)?),
            Self::Keep(conv) => conv.forward(p, x),
        }
    }
}

impl LucidrainsUnet {
    /// Builds the network's parameter table into `b`.
    pub(crate) fn new(b: &mut LayoutBuilder, c: &LucidrainsConfig) -> Result<Self> {
        c.validate()?;
        let (widths, embedding) = (c.widths(), 4 * c.channels);
        let (first, lowest) = (widths[0], widths[c.channel_mult.len()]);
        let full = LevelAttention { kind: AttentionKind::Full, ..c.attention[c.attention.len() - 1] };
        Ok(Self {
            frequencies: position_frequencies(c.channels / 2, MAX_PERIOD, true),
            time: [
                Linear::new(b, "time_mlp.1", c.channels, embedding)?,
                Linear::new(b, "time_mlp.3", embedding, embedding)?,
            ],
            first: Conv2d::new(b, "init_conv", c.image_channels, first, 7, 1.0)?,
            down: down_path(b, c, &widths)?,
            mid: (
                Block::new(b, "mid_block1", embedding, lowest, lowest)?,
                Attention::new(b, "mid_attn", lowest, full, c.memory)?,
                Block::new(b, "mid_block2", embedding, lowest, lowest)?,
            ),
            up: up_path(b, c, &widths)?,
            last_block: Block::new(b, "final_res_block", embedding, 2 * first, first)?,
            last: Conv2d::new(b, "final_conv", first, c.image_channels, 1, 0.0)?,
        })
    }

    /// The embedding of the time behind the blocks' nonlinearity, `[B, 4 channels]`.
    fn embedding(&self, p: &Params, time: &Tensor) -> Result<Tensor> {
        let frequencies = Tensor::f_from_slice(&self.frequencies)?.f_to_device(p.device())?;
        let e = sinusoids(time, &frequencies, SinusoidOrder::SinCos, p.kind())?;
        let e = Activation::Gelu.apply(&self.time[0].forward(p, &e)?)?;
        Ok(self.time[1].forward(p, &e)?.f_silu()?)
    }
}

impl Backbone for LucidrainsUnet {
    fn forward(&self, p: &Params, x: &Tensor, time: &Tensor, cond: Conditions<'_>) -> Result<Tensor> {
        // Every block applies the nonlinearity before its own linear layer; once is enough.
        let inputs = BlockInputs { emb: self.embedding(p, time)?, dropout: cond.dropout };
        let first = self.first.forward(p, x)?;
        let mut h = first.shallow_clone();
        let mut saved = Vec::with_capacity(2 * self.down.len());
        for Level { blocks: [one, two], attention, resampler } in &self.down {
            h = one.forward(p, &h, &inputs)?;
            saved.push(h.shallow_clone());
            h = attention.forward(p, &two.forward(p, &h, &inputs)?)?;
            saved.push(h.shallow_clone());
            h = resampler.forward(p, &h)?;
        }
        let (one, attention, two) = &self.mid;
        h = attention.forward(p, &one.forward(p, &h, &inputs)?)?;
        h = two.forward(p, &h, &inputs)?;
        for Level { blocks, attention, resampler } in &self.up {
            for block in blocks {
                let skip = saved.pop().ok_or(UNPAIRED)?;
                h = block.forward(p, &Tensor::f_cat(&[&h, &skip], 1)?, &inputs)?;
            }
            h = resampler.forward(p, &attention.forward(p, &h)?)?;
        }
        h = self.last_block.forward(p, &Tensor::f_cat(&[&h, &first], 1)?, &inputs)?;
        self.last.forward(p, &h)
    }
}

/// The down path. A level works on the channels that it gets, and changes them when it hands the image on.
fn down_path(b: &mut LayoutBuilder, c: &LucidrainsConfig, widths: &[i64]) -> Result<Vec<Level>> {
    let last = c.attention.len() - 1;
    let mut levels = Vec::with_capacity(c.attention.len());
    for (l, (pair, shape)) in widths.windows(2).zip(&c.attention).enumerate() {
        let (width, next) = (pair[0], pair[1]);
        levels.push(b.scope(format!("downs.{l}"), |b| -> Result<_> {
            let block = |b: &mut LayoutBuilder, name| Block::new(b, name, 4 * c.channels, width, width);
            Ok(Level {
                blocks: [block(b, "0")?, block(b, "1")?],
                attention: Attention::new(b, "2", width, *shape, c.memory)?,
                resampler: match l == last {
                    true => Resampler::Keep(Conv2d::new(b, "3", width, next, 3, 1.0)?),
                    false => Resampler::Down(Conv2d::new(b, "3.1", 4 * width, next, 1, 1.0)?),
                },
            })
        })?);
    }
    Ok(levels)
}

/// The up path, from the lowest resolution. A level works on the channels that its partner handed on.
fn up_path(b: &mut LayoutBuilder, c: &LucidrainsConfig, widths: &[i64]) -> Result<Vec<Level>> {
    let last = c.attention.len() - 1;
    let mut levels = Vec::with_capacity(c.attention.len());
    for (l, (pair, shape)) in widths.windows(2).zip(&c.attention).rev().enumerate() {
        let (next, width) = (pair[0], pair[1]);
        levels.push(b.scope(format!("ups.{l}"), |b| -> Result<_> {
            let block =
                |b: &mut LayoutBuilder, name| Block::new(b, name, 4 * c.channels, width + next, width);
            Ok(Level {
                blocks: [block(b, "0")?, block(b, "1")?],
                attention: Attention::new(b, "2", width, *shape, c.memory)?,
                resampler: match l == last {
                    true => Resampler::Keep(Conv2d::new(b, "3", width, next, 3, 1.0)?),
                    false => Resampler::Up(Conv2d::new(b, "3.1", width, next, 3, 1.0)?),
                },
            })
        })?);
    }
    Ok(levels)
}
