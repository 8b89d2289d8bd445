//! The U-Net itself: down path with every output saved, middle, up path on the saved outputs.

use std::f64::consts::FRAC_PI_2;

use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Device, Kind, LayoutBuilder, Params, Tensor};

use crate::conditions::{BlockInputs, Conditions, one_hot};
use crate::ddpm::block::{AttnBlock, style};
use crate::ddpm::config::{DdpmConfig, GROUPS, Resampling};
use crate::error::{Error, Result};
use crate::levels::Levels;
use crate::nn::{
    Activation, Conv2d, GroupNorm, Linear, SinusoidOrder, nearest_upsample_2x, position_frequencies,
    sinusoids,
};
use crate::residual::{ResBlock, Resize};

/// The down path saves one output for each block of the up path.
const UNPAIRED: Error = Error::Fault("a block of the up path finds no saved output of the down path");

/// One module of the down or up path.
#[derive(Clone, Debug)]
enum Stage {
    Conv(Conv2d),
    Block(AttnBlock),
    Resample(ResBlock),
    UpConv(Conv2d),
}

impl Stage {
    fn forward(&self, p: &Params, x: &Tensor, inputs: &BlockInputs<'_>) -> Result<Tensor> {
        match self {
            Self::Conv(conv) => conv.forward(p, x),
            Self::Block(block) => block.forward(p, x, inputs),
            Self::Resample(block) => block.forward(p, x, inputs),
            Self::UpConv(conv) => conv.forward(p, &nearest_upsample_2x(x)?),
        }
    }
}

/// A DDPM U-Net: parameter handles and the order of its layers. It holds no tensors.
#[derive(Clone, Debug)]
pub struct DdpmUnet {
    config: DdpmConfig,
    frequencies: Vec<f64>,
    time0: Linear,
    time2: Linear,
    class: Option<Linear>,
    down: Vec<Stage>,
    mid: [AttnBlock; 2],
    up: Vec<Stage>,
    out_norm: GroupNorm,
    out_conv: Conv2d,
}

impl DdpmUnet {
    /// Builds the network's parameter table into `b`; `heads` is the number of images that it puts out.
    ///
    /// # Errors
    /// A description that cannot be built.
    pub fn new(b: &mut LayoutBuilder, config: &DdpmConfig, heads: i64) -> Result<Self> {
        config.validate()?;
        let (c, e) = (config, config.embedding_channels);
        let half = c.channels / 2;
        let (time0, time2) = b.scope("time", |b| -> Result<_> {
            Ok((Linear::new(b, "0", c.channels, e)?, Linear::new(b, "2", e, e)?))
        })?;
        let class = if c.n_classes > 0 { Some(Linear::new(b, "class_emb", c.n_classes, e)?) } else { None };
        let (down, mut saved) = b.scope("down", |b| down_path(b, c))?;
        let pyramid = c.pyramid();
        let lowest = pyramid.width(pyramid.n_levels() - 1);
        let mid = b.scope("mid", |b| -> Result<_> {
            Ok([
                b.scope("0", |b| AttnBlock::new(b, c, lowest, lowest, true))?,
                b.scope("1", |b| AttnBlock::new(b, c, lowest, lowest, false))?,
            ])
        })?;
        let up = b.scope("up", |b| up_path(b, c, &mut saved))?;
        let first = pyramid.width(0);
        let (out_norm, out_conv) = b.scope("out", |b| -> Result<_> {
            let norm = GroupNorm::new(b, "0", first, GROUPS.of(first), 1e-5)?;
            Ok((norm, Conv2d::new(b, "2", first, c.image_channels * heads, 3, 0.0)?))
        })?;
        let frequencies = position_frequencies(half, 10_000.0, true);
        Ok(Self { config: c.clone(), frequencies, time0, time2, class, down, mid, up, out_norm, out_conv })
    }

    /// The network's output.
    ///
    /// Time enters as `1000 u`, `u = atan(exp(-log_snr / 2)) / (pi / 2)`, with log-SNR between -20 and 20.
    ///
    /// # Shapes
    /// `x` `[B, image_channels, resolution, resolution]` and the result `[B, heads image_channels, resolution, resolution]`
    /// of the parameters' kind; labels i64 `[B]`, needed when the network has classes and ignored when it has none.
    ///
    /// # Errors
    /// Another shape, missing labels, or a label out of range.
    pub fn forward(&self, p: &Params, x: &Tensor, at: &Levels, cond: Conditions<'_>) -> Result<Tensor> {
        self.check_input(x, at)?;
        let frequencies = Tensor::f_from_slice(&self.frequencies)?.f_to_device(p.device())?;
        let emb = sinusoids(&time_input(at, p.device())?, &frequencies, SinusoidOrder::SinCos, p.kind())?;
        let emb = self.time2.forward(p, &self.time0.forward(p, &emb)?.f_silu()?)?;
        let emb = match &self.class {
            Some(class) => {
                emb.f_add(&class.forward(p, &self.one_hot(cond.labels, at.len())?.f_to_kind(p.kind())?)?)?
            }
            None => emb,
        };
        // Every block applies SiLU before its own linear layer; once is enough.
        let inputs = BlockInputs { emb: emb.f_silu()?, dropout: cond.dropout };
        let mut saved = Vec::with_capacity(self.down.len());
        let mut h = x.shallow_clone();
        for stage in &self.down {
            h = stage.forward(p, &h, &inputs)?;
            saved.push(h.shallow_clone());
        }
        for block in &self.mid {
            h = block.forward(p, &h, &inputs)?;
        }
        for stage in &self.up {
            if let Stage::Block(_) = stage {
                let skip = saved.pop().ok_or(UNPAIRED)?;
                h = Tensor::f_cat(&[&h, &skip], 1)?;
            }
            h = stage.forward(p, &h, &inputs)?;
        }
        self.out_conv.forward(p, &self.out_norm.forward_within(p, &h, Activation::Silu.into())?)
    }

    /// The vectors of times at these levels, as the first layer after them takes them: what an export of a few steps stores
    /// instead of the formula.
    ///
    /// # Shapes
    /// `[B, channels]`, of `kind`, on the CPU.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn time_vectors(&self, at: &Levels, kind: Kind) -> Result<Tensor> {
        let frequencies = Tensor::f_from_slice(&self.frequencies)?;
        sinusoids(&time_input(at, Device::Cpu)?, &frequencies, SinusoidOrder::SinCos, kind)
    }

    fn check_input(&self, x: &Tensor, at: &Levels) -> Result<()> {
        let (c, r) = (self.config.image_channels, self.config.resolution);
        if x.size() == [at.len() as i64, c, r, r] {
            return Ok(());
        }
        let expected = format!("[{}, {c}, {r}, {r}] (batch, channels, height, width)", at.len());
        Err(Error::Input { what: "image batch", expected, got: x.size() })
    }

    /// `[B, n_classes]`, i64.
    fn one_hot(&self, labels: Option<&Tensor>, n: usize) -> Result<Tensor> {
        let expected = || format!("{n} labels, each from 0 to {}", self.config.n_classes - 1);
        let labels =
            labels.ok_or_else(|| Error::Input { what: "labels", expected: expected(), got: vec![] })?;
        if labels.size() != [n as i64] {
            return Err(Error::Input { what: "labels", expected: expected(), got: labels.size() });
        }
        one_hot(labels, self.config.n_classes)
    }
}

/// `1000 u` of a level: what the network is told.
///
/// The reference clips log-SNR to [-20, 20], and so does this: no network of this kind was trained beyond.
pub(crate) fn time_of(level: NoiseLevel) -> f64 {
    let u = (-0.5 * level.log_snr().clamp(-20.0, 20.0)).exp().atan() / FRAC_PI_2;
    1000.0 * u
}

/// The times of a batch, f64 `[B]`.
fn time_input(at: &Levels, device: Device) -> Result<Tensor> {
    let times: Vec<f64> = at.iter().map(time_of).collect();
    Ok(Tensor::f_from_slice(&times)?.f_to_device(device)?)
}

/// The down path, and the channels of each of its outputs.
fn down_path(b: &mut LayoutBuilder, c: &DdpmConfig) -> Result<(Vec<Stage>, Vec<i64>)> {
    let mut stages = vec![Stage::Conv(Conv2d::new(b, "0", c.image_channels, c.channels, 3, 1.0)?)];
    let mut saved = vec![c.channels];
    let mut channels = c.channels;
    let pyramid = c.pyramid();
    let last = pyramid.n_levels() - 1;
    for level in 0..=last {
        let width = pyramid.width(level);
        for _ in 0..c.n_res_blocks {
            let attention = pyramid.has_attention(level);
            let block =
                b.scope(stages.len().to_string(), |b| AttnBlock::new(b, c, channels, width, attention))?;
            stages.push(Stage::Block(block));
            channels = width;
            saved.push(channels);
        }
        if level < last {
            let stage = b.scope(stages.len().to_string(), |b| match c.resampling {
                Resampling::Residual => {
                    ResBlock::new(b, &style(c), width, width, Resize::Down).map(Stage::Resample)
                }
                Resampling::Conv => {
                    Conv2d::new(b, "0", width, width, 3, 1.0).map(|conv| Stage::Conv(conv.with_stride(2)))
                }
            })?;
            stages.push(stage);
            saved.push(channels);
        }
    }
    Ok((stages, saved))
}

/// The up path; takes the saved outputs' channels from the end.
fn up_path(b: &mut LayoutBuilder, c: &DdpmConfig, saved: &mut Vec<i64>) -> Result<Vec<Stage>> {
    let mut stages = Vec::new();
    let pyramid = c.pyramid();
    let mut channels = pyramid.width(pyramid.n_levels() - 1);
    for level in (0..pyramid.n_levels()).rev() {
        let width = pyramid.width(level);
        for _ in 0..=c.n_res_blocks {
            let c_in = channels + saved.pop().ok_or(UNPAIRED)?;
            let attention = pyramid.has_attention(level);
            let block =
                b.scope(stages.len().to_string(), |b| AttnBlock::new(b, c, c_in, width, attention))?;
            stages.push(Stage::Block(block));
            channels = width;
        }
        if level > 0 {
            let stage = b.scope(stages.len().to_string(), |b| match c.resampling {
                Resampling::Residual => {
                    ResBlock::new(b, &style(c), width, width, Resize::Up).map(Stage::Resample)
                }
                Resampling::Conv => Conv2d::new(b, "1", width, width, 3, 1.0).map(Stage::UpConv),
            })?;
            stages.push(stage);
        }
    }
    Ok(stages)
}
