//! A U-Net as a `UNet2DModel`: its config and its tensors.

use std::collections::HashMap;

use fewstep_models::ddpm::{Heads, Resampling};
use fewstep_models::nn::Activation;
use fewstep_models::unet2d::{ClassInput, LevelBlocks, TimeEmbedding, UNet2dConfig};
use fewstep_torch::Tensor;
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Name of the table of time vectors.
pub(crate) const TIMES: &str = "time_proj.weight";
/// Name of the layer that takes them.
const FIRST_LAYER: &str = "time_embedding.linear_1.weight";

/// The tensors of a network with their names, in its order.
pub(crate) type Named = Vec<(String, Tensor)>;
/// The tensors of a file.
pub(crate) type ByName = HashMap<String, Tensor>;

fn refuse<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::Inexpressible { format: super::NAME, what: what.into(), instead: super::USE_TORCH })
}

/// The `config.json` of the network, whose times are `n_rows` learned vectors.
pub(crate) fn config(c: &UNet2dConfig, n_rows: usize) -> Result<Value> {
    if c.class_input == ClassInput::Timestep && c.n_classes > 0 {
        return refuse("labels that are embedded as timesteps are");
    }
    if let TimeEmbedding::Fourier { .. } = c.embedding {
        return refuse("a network whose output is divided by its time");
    }
    let lowest = c.widths.len() - 1;
    let mid_attention = c.mid.is_some_and(|mid| mid.attention);
    let attended: Vec<i64> = (0..=lowest)
        .filter(|&l| c.down[l].attention || c.up[l].attention || (l == lowest && mid_attention))
        .map(|l| c.widths[l])
        .collect();
    let (down, downsample_type) = path(&c.down, "Down", lowest)?;
    let (mut up, upsample_type) = path(&c.up, "Up", 0)?;
    up.reverse();
    let groups = c.mid.and_then(|mid| mid.attention_norm_groups);
    if mid_attention && !c.affine_time && groups.is_none() {
        return refuse("attention without a norm in the middle of a network with added time");
    }
    Ok(json!({
        "_class_name": "UNet2DModel",
        "_diffusers_version": super::VERSION,
        "act_fn": match c.activation {
            Activation::Silu => "silu",
            Activation::Gelu => "gelu",
            Activation::Mish => "mish",
            Activation::Relu => "relu",
        },
        "add_attention": mid_attention || c.mid.is_none(),
        "attention_head_dim": head_dim(c.heads, &attended)?,
        "attn_norm_num_groups": groups,
        "block_out_channels": c.widths,
        "center_input_sample": c.center_input,
        "class_embed_type": null,
        "down_block_types": down,
        "downsample_padding": if c.one_sided_padding { 0 } else { 1 },
        "downsample_type": downsample_type,
        "dropout": 0.0,
        "flip_sin_to_cos": true,
        "freq_shift": 0,
        "in_channels": c.image_channels,
        "layers_per_block": c.n_res_blocks,
        "mid_block_scale_factor": c.mid.map_or(1.0, |mid| mid.divisor),
        "mid_block_type": c.mid.map(|_| "UNetMidBlock2D"),
        "norm_eps": c.norm_eps,
        "norm_num_groups": c.norm_groups,
        "num_class_embeds": (c.n_classes > 0).then_some(c.n_classes),
        "num_train_timesteps": n_rows,
        "out_channels": c.image_channels,
        "resnet_time_scale_shift": if c.affine_time { "scale_shift" } else { "default" },
        "sample_size": c.resolution,
        "time_embedding_dim": c.embedding_channels,
        "time_embedding_type": "learned",
        "up_block_types": up,
        "upsample_type": upsample_type,
    }))
}

/// The blocks of a path, full resolution first, and how those with attention resample. The level `end` does not.
fn path(levels: &[LevelBlocks], direction: &str, end: usize) -> Result<(Vec<String>, &'static str)> {
    let name = |r: Resampling| if r == Resampling::Residual { "resnet" } else { "conv" };
    let mut attended = (levels.iter().enumerate())
        .filter(|(l, blocks)| blocks.attention && *l != end)
        .map(|(_, blocks)| blocks.resampling);
    let kind = attended.next().unwrap_or(Resampling::Conv);
    if attended.any(|other| other != kind) {
        return refuse("levels with attention that resample in two ways");
    }
    let blocks = levels.iter().enumerate().map(|(l, blocks)| {
        let residual = blocks.resampling == Resampling::Residual && l != end;
        match (blocks.attention, residual) {
            (true, _) => format!("Attn{direction}Block2D"),
            (false, true) => format!("Resnet{direction}sampleBlock2D"),
            (false, false) => format!("{direction}Block2D"),
        }
    });
    Ok((blocks.collect(), name(kind)))
}

/// Channels of a head, which are one number in a network; null is one head.
fn head_dim(heads: Heads, attended: &[i64]) -> Result<Option<i64>> {
    match heads {
        Heads::Width(width) => Ok(Some(width)),
        Heads::Count(1) => Ok(None),
        Heads::Count(n) => match attended {
            [] => Ok(None),
            [first, rest @ ..] if rest.iter().all(|width| width == first) => Ok(Some(first / n)),
            _ => refuse(format!("{n} heads over levels of the widths {attended:?}")),
        },
    }
}

/// The tensors of the network with the table of time vectors `rows`, `[n, channels]`.
pub(crate) fn tensors(c: &UNet2dConfig, own: Named, rows: &Tensor) -> Result<Named> {
    let (first, channels) = (c.widths[0], rows.size()[1]);
    if channels > first {
        return refuse(format!(
            "vectors of {channels} for the time, in a network whose first level is {first} wide"
        ));
    }
    // The package has vectors as long as the first level is wide: zeros change nothing.
    let padded = |t: &Tensor| -> Result<Tensor> { Ok(t.f_constant_pad_nd([0, first - channels])?) };
    let mut named: Named = Vec::with_capacity(own.len() + 1);
    for (name, tensor) in own {
        match name.as_str() {
            TIMES => {}
            FIRST_LAYER => named.push((name, padded(&tensor)?)),
            _ => named.push((name, tensor)),
        }
    }
    named.push((TIMES.to_owned(), padded(rows)?));
    Ok(named)
}

/// The network's own tensors from those of an export, without the table of time vectors where it has none.
pub(crate) fn own_tensors(c: &UNet2dConfig, exported: &ByName) -> Result<ByName> {
    let channels = match c.embedding {
        TimeEmbedding::Sinusoids { channels, .. } | TimeEmbedding::Learned { channels, .. } => channels,
        TimeEmbedding::Fourier { channels } => 2 * channels,
    };
    let own = |name: &str, tensor: &Tensor| -> Result<Tensor> {
        Ok(match name {
            FIRST_LAYER => {
                let columns = tensor.size().get(1).copied().unwrap_or_default();
                tensor.f_narrow(1, 0, channels.min(columns))?.f_contiguous()?
            }
            _ => tensor.shallow_clone(),
        })
    };
    let kept = exported.iter().filter(|(name, _)| *name != TIMES);
    kept.map(|(name, tensor)| Ok((name.clone(), own(name, tensor)?))).collect()
}

/// Whether both hold the same tensors, to the bit.
pub(crate) fn same(a: &Named, b: &ByName) -> Result<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (name, t) in a {
        let Some(u) = b.get(name) else { return Ok(false) };
        if t.size() != u.size() || t.kind() != u.kind() || !t.f_equal(u)? {
            return Ok(false);
        }
    }
    Ok(true)
}
