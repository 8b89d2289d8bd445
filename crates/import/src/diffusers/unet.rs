//! The config of a `UNet2DModel` as this project's description.

use fewstep_models::ddpm::{Heads, Resampling};
use fewstep_models::nn::Activation;
use fewstep_models::unet2d::{ClassInput, LevelBlocks, MidBlock, TimeEmbedding, UNet2dConfig};
use fewstep_models::{Error as ModelError, TimeInput};

use crate::diffusers::folder::Json;
use crate::diffusers::options::Options;
use crate::error::{Error, MissingHint, Result};

/// Names of the network's class.
const CLASSES: [&str; 2] = ["UNet2DModel", "UNetModel"];
/// What diffusers' average of a network in training writes into that network's config: how it was averaged.
const AVERAGING: [&str; 7] =
    ["decay", "inv_gamma", "min_decay", "optimization_step", "power", "update_after_step", "use_ema_warmup"];

/// The description of the network. `asked` is the resolution from the request.
pub(crate) fn read(json: &Json, time: TimeInput, asked: Option<i64>) -> Result<UNet2dConfig> {
    let o = Options::of(json);
    let class = o.text("_class_name", CLASSES[0])?;
    if !CLASSES.contains(&class) {
        return Err(o.wrong("_class_name", "expected UNet2DModel, a network of images without text or video"));
    }
    let widths = o.ints("block_out_channels", &[224, 448, 672, 896])?;
    let n_res_blocks = o.int("layers_per_block", 2)?;
    let n_res_blocks =
        usize::try_from(n_res_blocks).map_err(|_| o.wrong("layers_per_block", "expected at least 1"))?;
    let (down, up) = paths(&o)?;
    if down.len() != widths.len() || up.len() != widths.len() {
        let problem =
            format!("expected one width per block, of which there are {} down, {} up", down.len(), up.len());
        return Err(o.wrong("block_out_channels", problem));
    }
    let resolution = resolution(&o, asked)?;
    let image_channels = o.int("in_channels", 3)?;
    if o.int("out_channels", 3)? != image_channels {
        return Err(o.wrong("out_channels", format!("expected {image_channels}, as many as in_channels")));
    }
    let affine_time = match o.text("resnet_time_scale_shift", "default")? {
        "default" => false,
        "scale_shift" => true,
        _ => return Err(o.wrong("resnet_time_scale_shift", "expected default or scale_shift")),
    };
    let norm_groups = o.int("norm_num_groups", 32)?;
    let first = widths.first().copied().unwrap_or(0);
    let (class_input, n_classes) = classes(&o)?;
    let config = UNet2dConfig {
        image_channels,
        resolution,
        n_res_blocks,
        down,
        up,
        mid: mid(&o, affine_time, norm_groups)?,
        heads: heads(&o)?,
        norm_groups,
        norm_eps: o.float("norm_eps", 1e-5)?,
        affine_time,
        one_sided_padding: match o.int("downsample_padding", 1)? {
            0 => true,
            1 => false,
            _ => return Err(o.wrong("downsample_padding", "expected 0 or 1")),
        },
        activation: match o.text("act_fn", "silu")? {
            "silu" | "swish" => Activation::Silu,
            "gelu" => Activation::Gelu,
            "mish" => Activation::Mish,
            "relu" => Activation::Relu,
            _ => return Err(o.wrong("act_fn", "expected silu, swish, gelu, mish or relu")),
        },
        center_input: o.bool("center_input_sample", false)?,
        embedding: embedding(&o, first)?,
        embedding_channels: match o.maybe_int("time_embedding_dim")? {
            Some(channels) => channels,
            None => first.saturating_mul(4),
        },
        n_classes,
        class_input,
        time,
        widths,
    };
    o.float("dropout", 0.0)?;
    for key in AVERAGING {
        o.value(key);
    }
    o.nothing_left()?;
    match config.validate() {
        Err(ModelError::Config { key, problem }) => Err(o.wrong(theirs(key), problem)),
        Err(e) => Err(e.into()),
        Ok(()) => Ok(config),
    }
}

/// The file's key for one of this project's.
fn theirs(key: &'static str) -> &'static str {
    match key {
        "image_channels" => "in_channels",
        "resolution" => "sample_size",
        "widths" => "block_out_channels",
        "n_res_blocks" => "layers_per_block",
        "heads" => "attention_head_dim",
        "mid" => "mid_block_scale_factor",
        "mid.attention_norm_groups" => "attn_norm_num_groups",
        "norm_groups" => "norm_num_groups",
        "embedding" | "embedding.channels" | "embedding.timesteps" => "time_embedding_type",
        "embedding_channels" => "time_embedding_dim",
        "n_classes" => "num_class_embeds",
        same => same,
    }
}

fn resolution(o: &Options<'_>, asked: Option<i64>) -> Result<i64> {
    let key = "sample_size";
    let found = match o.value(key) {
        None | Some(serde_json::Value::Null) => None,
        Some(serde_json::Value::Array(_)) => match o.ints(key, &[])?[..] {
            [height, width] if height == width => Some(height),
            _ => return Err(o.wrong(key, "expected square images")),
        },
        Some(_) => o.maybe_int(key)?,
    };
    match (found, asked) {
        (Some(found), Some(asked)) if found != asked => {
            Err(o.wrong(key, format!("and the request says {asked}")))
        }
        (found, asked) => found.or(asked).ok_or(Error::MissingHints { what: vec![MissingHint::Resolution] }),
    }
}

/// The levels of both paths, each from the full resolution down.
fn paths(o: &Options<'_>) -> Result<(Vec<LevelBlocks>, Vec<LevelBlocks>)> {
    const DOWN: [&str; 4] = ["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"];
    const UP: [&str; 4] = ["AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"];
    let down = path(o, "down_block_types", &DOWN, "downsample_type", "Down")?;
    let mut up = path(o, "up_block_types", &UP, "upsample_type", "Up")?;
    up.reverse();
    Ok((down, up))
}

/// The blocks of a path in the file's order. `direction` is `Down` or `Up`.
fn path(
    o: &Options<'_>,
    key: &'static str,
    default: &[&'static str],
    resampling_key: &'static str,
    direction: &str,
) -> Result<Vec<LevelBlocks>> {
    let attended = match o.text(resampling_key, "conv")? {
        "conv" => Resampling::Conv,
        "resnet" => Resampling::Residual,
        _ => return Err(o.wrong(resampling_key, "expected conv or resnet")),
    };
    let plain = format!("{direction}Block2D");
    let attention = format!("Attn{direction}Block2D");
    let residual = format!("Resnet{direction}sampleBlock2D");
    o.texts(key, default)?
        .into_iter()
        .map(|name| {
            // Names of 2022 began with this.
            let name = name.strip_prefix("UNetRes").unwrap_or(name);
            // The type of resampling counts in blocks with attention only.
            if name == plain {
                Ok(LevelBlocks { attention: false, resampling: Resampling::Conv })
            } else if name == attention {
                Ok(LevelBlocks { attention: true, resampling: attended })
            } else if name == residual {
                Ok(LevelBlocks { attention: false, resampling: Resampling::Residual })
            } else {
                Err(o.wrong(key, format!("expected {plain}, {attention} or {residual} at every level")))
            }
        })
        .collect()
}

fn mid(o: &Options<'_>, affine_time: bool, norm_groups: i64) -> Result<Option<MidBlock>> {
    let (attention, divisor) = (o.bool("add_attention", true)?, o.float("mid_block_scale_factor", 1.0)?);
    // Without a number of its own, the norm of the middle's attention has the others' with added time, and is missing with
    // scale and shift.
    let groups = o.maybe_int("attn_norm_num_groups")?;
    let groups = groups.or((!affine_time).then_some(norm_groups)).filter(|_| attention);
    // Null means none, and a missing key the usual one.
    match o.value("mid_block_type") {
        Some(serde_json::Value::Null) => return Ok(None),
        Some(kind) if kind != "UNetMidBlock2D" => {
            return Err(o.wrong("mid_block_type", "expected UNetMidBlock2D or null"));
        }
        _ => {}
    }
    Ok(Some(MidBlock { attention, attention_norm_groups: groups, divisor }))
}

/// A missing size of heads is 8, and null is one head.
fn heads(o: &Options<'_>) -> Result<Heads> {
    let key = "attention_head_dim";
    match o.value(key) {
        Some(serde_json::Value::Null) => Ok(Heads::Count(1)),
        _ => Ok(Heads::Width(o.int(key, 8)?)),
    }
}

fn embedding(o: &Options<'_>, first: i64) -> Result<TimeEmbedding> {
    let (cosines_first, shift) = (o.bool("flip_sin_to_cos", true)?, o.float("freq_shift", 0.0)?);
    let timesteps = o.maybe_int("num_train_timesteps")?;
    Ok(match o.text("time_embedding_type", "positional")? {
        "positional" => TimeEmbedding::Sinusoids { channels: first, cosines_first, shift },
        "fourier" => TimeEmbedding::Fourier { channels: first },
        "learned" => {
            let timesteps =
                timesteps.ok_or_else(|| o.wrong("num_train_timesteps", "learned times need their number"))?;
            TimeEmbedding::Learned { timesteps, channels: first }
        }
        _ => return Err(o.wrong("time_embedding_type", "expected positional, fourier or learned")),
    })
}

fn classes(o: &Options<'_>) -> Result<(ClassInput, i64)> {
    let n = o.maybe_int("num_class_embeds")?;
    match o.maybe_text("class_embed_type")? {
        None => Ok((ClassInput::Table, n.unwrap_or(0))),
        Some("timestep") => {
            let n = n.ok_or_else(|| {
                o.wrong("class_embed_type", "expected num_class_embeds beside it, the number of classes")
            })?;
            Ok((ClassInput::Timestep, n))
        }
        Some("identity") => Err(o.wrong("class_embed_type", "such a network takes vectors, not labels")),
        Some(_) => Err(o.wrong("class_embed_type", "expected null or timestep")),
    }
}
