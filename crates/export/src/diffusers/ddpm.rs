//! A DDPM U-Net of this project as a `UNet2DModel`: the same layers under other names.

use fewstep_models::ddpm::{DdpmConfig, DdpmNetwork, DdpmUnet, Heads, Resampling};
use fewstep_models::nn::Activation;
use fewstep_models::unet2d::{ClassInput, LevelBlocks, MidBlock, TimeEmbedding, UNet2dConfig};
use fewstep_models::{Levels, Network, Prediction, TimeInput};
use fewstep_schedules::BetaTable;
use fewstep_torch::{LayoutBuilder, Params, Tensor};

use crate::diffusers::unet::{ByName, Named};
use crate::error::{Error, Result};

/// The largest number of groups of a norm in this network.
const GROUPS: i64 = 32;

fn refuse<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::Inexpressible { format: super::NAME, what: what.into(), instead: super::USE_TORCH })
}

/// See [`super::network`].
pub(crate) fn as_unet2d(
    c: &DdpmConfig,
    prediction: Prediction,
    params: &Params,
    at: &Levels,
) -> Result<(UNet2dConfig, Prediction, Named, Tensor)> {
    if prediction == Prediction::X0AndEps {
        return refuse("a network of two heads");
    }
    if c.n_classes > 0 {
        return refuse("the class layer of a `ddpm_unet`, which has a bias");
    }
    if c.channel_mult.first() != Some(&1) {
        return refuse(format!(
            "a first level of {:?} times the first convolution's width",
            c.channel_mult.first()
        ));
    }
    let config = described(c)?;
    let mut named = Vec::new();
    let all = modules(c);
    for (ours, t) in params.named() {
        named.extend(theirs(c, &all, ours, t)?);
    }
    let unet = DdpmUnet::new(&mut LayoutBuilder::new(), c, prediction.heads())?;
    let vectors = unet.time_vectors(at, params.kind())?;
    Ok((config, prediction, named, vectors))
}

/// The network's description in that package's terms.
fn described(c: &DdpmConfig) -> Result<UNet2dConfig> {
    let widths: Vec<i64> = c.channel_mult.iter().map(|m| m * c.channels).collect();
    let attended: Vec<bool> =
        (0..widths.len()).map(|l| c.attention_resolutions.contains(&(c.resolution >> l))).collect();
    let blocks: Vec<LevelBlocks> =
        attended.iter().map(|&attention| LevelBlocks { attention, resampling: c.resampling }).collect();
    Ok(UNet2dConfig {
        image_channels: c.image_channels,
        resolution: c.resolution,
        n_res_blocks: c.n_res_blocks,
        down: blocks.clone(),
        up: blocks,
        mid: Some(MidBlock { attention: true, attention_norm_groups: Some(groups(&widths)?), divisor: 1.0 }),
        heads: c.heads,
        norm_groups: groups(&widths)?,
        norm_eps: 1e-5,
        affine_time: c.affine_time,
        one_sided_padding: false,
        activation: Activation::Silu,
        center_input: false,
        embedding: TimeEmbedding::Sinusoids { channels: c.channels, cosines_first: false, shift: 1.0 },
        embedding_channels: c.embedding_channels,
        n_classes: 0,
        class_input: ClassInput::Table,
        // Only what the package is told is of interest here: the vectors are given.
        time: TimeInput::Timesteps { table: BetaTable::default() },
        widths,
    })
}

/// The groups that all norms of the network have; the package knows one number.
fn groups(widths: &[i64]) -> Result<i64> {
    let of = |channels: i64| (1..=GROUPS).rev().find(|g| channels % g == 0).unwrap_or(1);
    let mut normed: Vec<i64> = widths.to_vec();
    // The up path's blocks take the outputs of two levels.
    let neighbours = widths.windows(2).flat_map(|pair| [pair[0] + pair[1]]);
    normed.extend(widths.iter().map(|w| 2 * w).chain(neighbours));
    let all: Vec<i64> = normed.iter().map(|&channels| of(channels)).collect();
    match all.iter().all(|g| *g == all[0]) {
        true => Ok(all[0]),
        false => refuse(format!("norms of different numbers of groups, over {normed:?} channels")),
    }
}

/// A module of the network under both names.
struct Module {
    ours: String,
    theirs: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Residual,
    Attention,
}

/// Parts of a residual block under both names.
const RESIDUAL: [(&str, &str); 6] = [
    ("norm1", "norm1"),
    ("conv1", "conv1"),
    ("time.1", "time_emb_proj"),
    ("norm2", "norm2"),
    ("conv2", "conv2"),
    ("skip", "conv_shortcut"),
];

/// Every module of the network.
fn modules(c: &DdpmConfig) -> Vec<Module> {
    let mut all = Vec::new();
    let mut add = |ours: String, theirs: String, kind| all.push(Module { ours, theirs, kind });
    for (ours, theirs) in [
        ("time.0", "time_embedding.linear_1"),
        ("time.2", "time_embedding.linear_2"),
        ("down.0", "conv_in"),
        ("out.0", "conv_norm_out"),
        ("out.2", "conv_out"),
    ] {
        add(ours.to_owned(), theirs.to_owned(), Kind::Plain);
    }
    for i in 0..2 {
        add(format!("mid.{i}.resblocks"), format!("mid_block.resnets.{i}"), Kind::Residual);
    }
    add("mid.0.attention".to_owned(), "mid_block.attentions.0".to_owned(), Kind::Attention);
    let levels = c.channel_mult.len();
    // Our modules of a path are counted through; the first of the down path is the first convolution.
    for (path, blocks, first, n_blocks, resampler, conv) in [
        ("down", "down_blocks", 1, c.n_res_blocks, "downsamplers.0", "0"),
        ("up", "up_blocks", 0, c.n_res_blocks + 1, "upsamplers.0", "1"),
    ] {
        let mut stage = first;
        for level in 0..levels {
            for block in 0..n_blocks {
                let (ours, theirs) = (format!("{path}.{stage}"), format!("{blocks}.{level}"));
                add(format!("{ours}.resblocks"), format!("{theirs}.resnets.{block}"), Kind::Residual);
                add(format!("{ours}.attention"), format!("{theirs}.attentions.{block}"), Kind::Attention);
                stage += 1;
            }
            if level + 1 < levels {
                let (ours, theirs) = (format!("{path}.{stage}"), format!("{blocks}.{level}.{resampler}"));
                match c.resampling {
                    Resampling::Residual => add(ours, theirs, Kind::Residual),
                    Resampling::Conv => add(format!("{ours}.{conv}"), format!("{theirs}.conv"), Kind::Plain),
                }
                stage += 1;
            }
        }
    }
    all
}

/// A name inside a module.
fn inside<'n>(name: &'n str, module: &str) -> Option<&'n str> {
    name.strip_prefix(module)?.strip_prefix('.')
}

fn unknown(name: &str) -> Error {
    // Names follow from the description, so this is a fault of this file.
    Error::Inexpressible {
        format: super::NAME,
        what: format!("the tensor `{name}`"),
        instead: super::USE_TORCH,
    }
}

/// One of our tensors as theirs: queries, keys and values become three.
fn theirs(c: &DdpmConfig, all: &[Module], name: &str, t: &Tensor) -> Result<Named> {
    let (module, rest) = all
        .iter()
        .find_map(|module| Some((module, inside(name, &module.ours)?)))
        .ok_or_else(|| unknown(name))?;
    let theirs = |rest: &str| format!("{}.{rest}", module.theirs);
    let (layer, part) = rest.rsplit_once('.').unwrap_or(("", rest));
    match module.kind {
        Kind::Plain => Ok(vec![(theirs(rest), t.shallow_clone())]),
        Kind::Residual => {
            let (_, new) = RESIDUAL.iter().find(|(old, _)| *old == layer).ok_or_else(|| unknown(name))?;
            Ok(vec![(theirs(&format!("{new}.{part}")), t.shallow_clone())])
        }
        Kind::Attention => match layer {
            "norm" => Ok(vec![(theirs(&format!("group_norm.{part}")), t.shallow_clone())]),
            "out" => Ok(vec![(theirs(&format!("to_out.0.{part}")), matrix(t)?)]),
            _ => {
                let rows = matrix(t)?;
                let channels = rows.size()[0] / 3;
                // [heads, 3, width, ...] -> three of [channels, ...].
                let heads = heads(c, channels);
                let parts = rows.f_unflatten(0, [heads, 3, channels / heads])?.f_unbind(1)?;
                let names = ["to_q", "to_k", "to_v"].map(|layer| theirs(&format!("{layer}.{part}")));
                let parts = parts
                    .iter()
                    .map(|t| Ok(t.f_flatten(0, 1)?.f_contiguous()?))
                    .collect::<Result<Vec<_>>>()?;
                Ok(names.into_iter().zip(parts).collect())
            }
        },
    }
}

fn heads(c: &DdpmConfig, channels: i64) -> i64 {
    match c.heads {
        Heads::Count(n) => n,
        Heads::Width(width) => channels / width,
    }
}

/// A convolution of one pixel as a matrix; a bias as it is.
fn matrix(t: &Tensor) -> Result<Tensor> {
    Ok(if t.dim() == 4 { t.f_flatten(1, 3)?.f_contiguous()? } else { t.shallow_clone() })
}

/// The inverse of [`theirs`] over all tensors.
pub(crate) fn own_tensors(c: &DdpmConfig, exported: &ByName) -> Result<ByName> {
    let all = modules(c);
    let network = DdpmNetwork::new(c.clone(), Prediction::X0)?;
    let mut own = ByName::new();
    for param in network.layout().params() {
        // The shapes tell which of theirs ours is made of.
        let like = Tensor::f_zeros(&param.shape, (fewstep_torch::Kind::Float, fewstep_torch::Device::Cpu))?;
        let pieces = theirs(c, &all, &param.name, &like)?;
        let mut found = Vec::with_capacity(pieces.len());
        for (name, piece) in pieces {
            let t = exported.get(&name).ok_or_else(|| unknown(&name))?;
            if t.size() != piece.size() {
                return Err(unknown(&name));
            }
            found.push(t);
        }
        let t = match &found[..] {
            [one] => one.f_reshape(&param.shape)?,
            several => {
                let channels = several[0].size()[0];
                let heads = heads(c, channels);
                let split = several.iter().map(|t| Ok(t.f_unflatten(0, [heads, channels / heads])?));
                let split = split.collect::<Result<Vec<Tensor>>>()?;
                Tensor::f_stack(&split, 1)?.f_reshape(&param.shape)?
            }
        };
        own.insert(param.name.clone(), t);
    }
    Ok(own)
}
