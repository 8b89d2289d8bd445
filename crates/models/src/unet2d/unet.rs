//! The U-Net itself: down path with every output saved, middle, up path on the saved outputs.

use fewstep_torch::{LayoutBuilder, Params, ScalarOps, Tensor};

use crate::conditions::{BlockInputs, Conditions};
use crate::error::{Error, Result};
use crate::nn::{Activation, Conv2d, GroupNorm};
use crate::residual::{ResBlock, ResStyle, Resize};
use crate::timed::Backbone;
use crate::unet2d::attention::Attention;
use crate::unet2d::block::{Level, attention, style};
use crate::unet2d::config::UNet2dConfig;
use crate::unet2d::embedding::Embedding;

/// The down path saves one output for each block of the up path.
const UNPAIRED: Error = Error::Fault("a block of the up path finds no saved output of the down path");

/// A U-Net: parameter handles and the order of its layers. It holds no tensors.
#[derive(Clone, Debug)]
pub(crate) struct UNet2d {
    center_input: bool,
    activation: Activation,
    embedding: Embedding,
    conv_in: Conv2d,
    down: Vec<Level>,
    mid: Option<Mid>,
    up: Vec<Level>,
    out_norm: GroupNorm,
    out_conv: Conv2d,
}

#[derive(Clone, Debug)]
struct Mid {
    first: ResBlock,
    attention: Option<Attention>,
    second: ResBlock,
}

impl UNet2d {
    /// Builds the network's parameter table into `b`.
    pub(crate) fn new(b: &mut LayoutBuilder, c: &UNet2dConfig) -> Result<Self> {
        c.validate()?;
        let conv_in = Conv2d::new(b, "conv_in", c.image_channels, c.widths[0], 3, 1.0)?;
        let embedding = Embedding::new(b, c)?;
        let (down, saved) = down_path(b, c)?;
        let mid = b.scope("mid_block", |b| mid_block(b, c))?;
        let up = up_path(b, c, saved)?;
        let out_norm = style(c).norm(b, "conv_norm_out", c.widths[0])?;
        let out_conv = Conv2d::new(b, "conv_out", c.widths[0], c.image_channels, 3, 0.0)?;
        let (center_input, activation) = (c.center_input, c.activation);
        Ok(Self { center_input, activation, embedding, conv_in, down, mid, up, out_norm, out_conv })
    }
}

impl Backbone for UNet2d {
    fn forward(&self, p: &Params, x: &Tensor, time: &Tensor, cond: Conditions<'_>) -> Result<Tensor> {
        let emb = self.activation.apply(&self.embedding.forward(p, time, &cond)?)?;
        // Every block applies the nonlinearity before its own linear layer; once is enough.
        let inputs = BlockInputs { emb, dropout: cond.dropout };
        let centered = if self.center_input { Some(x.mul_number(2.0)?.sub_number(1.0)?) } else { None };
        let mut h = self.conv_in.forward(p, centered.as_ref().unwrap_or(x))?;
        let mut saved = vec![h.shallow_clone()];
        for level in &self.down {
            for block in &level.blocks {
                h = block.forward(p, &h, &inputs)?;
                saved.push(h.shallow_clone());
            }
            if let Some(resampler) = &level.resampler {
                h = resampler.forward(p, &h, &inputs)?;
                saved.push(h.shallow_clone());
            }
        }
        if let Some(mid) = &self.mid {
            h = mid.first.forward(p, &h, &inputs)?;
            if let Some(attention) = &mid.attention {
                h = attention.forward(p, &h)?;
            }
            h = mid.second.forward(p, &h, &inputs)?;
        }
        for level in &self.up {
            for block in &level.blocks {
                let skip = saved.pop().ok_or(UNPAIRED)?;
                h = block.forward(p, &Tensor::f_cat(&[&h, &skip], 1)?, &inputs)?;
            }
            if let Some(resampler) = &level.resampler {
                h = resampler.forward(p, &h, &inputs)?;
            }
        }
        let h = self.last_layers(p, &h)?;
        if !self.embedding.divides_by_time() {
            return Ok(h);
        }
        let time = time.f_view([-1, 1, 1, 1])?.f_to_kind(p.kind())?;
        Ok(h.f_div(&time)?)
    }

    fn knows_all_times(&self) -> bool {
        self.embedding.knows_all_times()
    }
}

impl UNet2d {
    /// See [`Embedding::time_vectors`].
    pub(crate) fn time_vectors(&self, p: &Params, time: &Tensor) -> Result<Tensor> {
        self.embedding.time_vectors(p, time)
    }

    /// The last layers; their nonlinearity is SiLU whatever the blocks' is.
    fn last_layers(&self, p: &Params, h: &Tensor) -> Result<Tensor> {
        self.out_conv.forward(p, &self.out_norm.forward_within(p, h, Activation::Silu.into())?)
    }
}

/// The down path, and the channels of each saved output.
fn down_path(b: &mut LayoutBuilder, c: &UNet2dConfig) -> Result<(Vec<Level>, Vec<i64>)> {
    let mut channels = c.widths[0];
    let mut saved = vec![channels];
    let mut levels = Vec::with_capacity(c.n_levels());
    for (l, (&width, blocks)) in c.widths.iter().zip(&c.down).enumerate() {
        let mut inputs = vec![width; c.n_res_blocks];
        inputs[0] = channels;
        let resize = (l + 1 < c.n_levels()).then_some((Resize::Down, blocks.resampling));
        let name = format!("down_blocks.{l}");
        levels.push(b.scope(name, |b| Level::new(b, c, (&inputs, width), blocks.attention, resize))?);
        saved.extend(std::iter::repeat_n(width, c.n_res_blocks + usize::from(resize.is_some())));
        channels = width;
    }
    Ok((levels, saved))
}

fn mid_block(b: &mut LayoutBuilder, c: &UNet2dConfig) -> Result<Option<Mid>> {
    let Some(mid) = c.mid else { return Ok(None) };
    let width = c.widths[c.n_levels() - 1];
    let style = ResStyle { divisor: mid.divisor, ..style(c) };
    let block = |b: &mut LayoutBuilder, name: &str| {
        b.scope(name, |b| ResBlock::new(b, &style, width, width, Resize::Keep))
    };
    let first = block(b, "resnets.0")?;
    let attention = match mid.attention {
        true => {
            Some(b.scope("attentions.0", |b| attention(b, c, width, mid.attention_norm_groups, mid.divisor))?)
        }
        false => None,
    };
    Ok(Some(Mid { first, attention, second: block(b, "resnets.1")? }))
}

/// The up path, from the lowest resolution; takes the saved outputs' channels from the end.
fn up_path(b: &mut LayoutBuilder, c: &UNet2dConfig, mut saved: Vec<i64>) -> Result<Vec<Level>> {
    let mut channels = c.widths[c.n_levels() - 1];
    let mut levels = Vec::with_capacity(c.n_levels());
    for (i, (&width, blocks)) in c.widths.iter().zip(&c.up).rev().enumerate() {
        let mut inputs = Vec::with_capacity(c.n_res_blocks + 1);
        for _ in 0..=c.n_res_blocks {
            inputs.push(channels + saved.pop().ok_or(UNPAIRED)?);
            channels = width;
        }
        let resize = (i + 1 < c.n_levels()).then_some((Resize::Up, blocks.resampling));
        let name = format!("up_blocks.{i}");
        levels.push(b.scope(name, |b| Level::new(b, c, (&inputs, width), blocks.attention, resize))?);
    }
    Ok(levels)
}
