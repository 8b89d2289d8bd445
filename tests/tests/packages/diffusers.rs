//! Random pipelines of diffusers, over every option that the import takes.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::dice::Dice;

/// Case `i` of a seed: what the script needs to make it.
pub(crate) fn pipeline(seed: u64, i: u64, root: &Path) -> Value {
    let dice = Dice::new(seed, 0, i);
    let timesteps = dice.one(&[50, 64, 100, 250, 333, 1000]);
    let unet = network(&dice, timesteps);
    let fourier = unet["time_embedding_type"] == "fourier";
    let (class, scheduler) = scheduler(&dice, timesteps, fourier);
    let form = form(&dice);
    // The package's trailing steps have the length N / 10 rounded down, and visit other timesteps than they land on where
    // it does not divide.
    let spacings: &[&str] =
        if timesteps.is_multiple_of(10) { &["leading", "trailing"] } else { &["leading"] };
    let name = if form["layout"] == "alone" { "unet" } else { "model" };
    json!({
        "name": format!("seed {seed}, case {i}"),
        "seed": i,
        "folder": root.join(i.to_string()).join(name),
        "unet": unet,
        "scheduler_class": class,
        "scheduler": scheduler,
        "spacings": spacings,
        "form": form,
    })
}

fn network(dice: &Dice, timesteps: usize) -> Value {
    let levels = 1 + dice.below(4);
    let groups = dice.one(&[1, 2, 4, 8]);
    let widths: Vec<usize> =
        (0..levels).map(|_| 8 * (1 + dice.below(if groups == 8 { 3 } else { 4 }))).collect();
    let last = widths[levels - 1];
    let blocks = |direction: &str| -> Vec<String> {
        let kinds = ["{}Block2D", "Attn{}Block2D", "Resnet{}sampleBlock2D"];
        let block = |_| {
            let old = if dice.rarely(12) { "UNetRes" } else { "" };
            format!("{old}{}", dice.one(&kinds).replace("{}", direction))
        };
        (0..levels).map(block).collect()
    };
    let channels = 1 + dice.below(4);
    let mut config = json!({
        "sample_size": dice.resolution(levels),
        "in_channels": channels,
        "out_channels": channels,
        "center_input_sample": dice.rarely(4),
        "down_block_types": blocks("Down"),
        "up_block_types": blocks("Up"),
        "block_out_channels": widths,
        "layers_per_block": 1 + dice.below(3),
        "mid_block_scale_factor": dice.one(&[1.0, 1.0, 2f64.sqrt(), 0.7]),
        "downsample_padding": dice.below(2),
        "downsample_type": dice.one(&["conv", "resnet"]),
        "upsample_type": dice.one(&["conv", "resnet"]),
        "dropout": dice.one(&[0.0, 0.1]),
        "act_fn": dice.one(&["silu", "swish", "gelu", "mish", "relu"]),
        "norm_num_groups": groups,
        "norm_eps": dice.one(&[1e-5, 1e-6, 1e-3]),
        "resnet_time_scale_shift": dice.one(&["default", "scale_shift"]),
        "add_attention": !dice.rarely(4),
    });
    let map = config.as_object_mut().unwrap();
    let mut set = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
    if dice.rarely(6) {
        set("mid_block_type", Value::Null);
    }
    if dice.rarely(2) {
        set("attn_norm_num_groups", dice.one(&[1, 2, last / 2, last]).into());
    }
    // Without it, 8. Neither 3 nor 5 divides any width evenly.
    match dice.below(4) {
        0 => set("attention_head_dim", Value::Null),
        1 => {}
        _ => set("attention_head_dim", dice.one(&[1, 3, 4, 5, 8]).into()),
    }
    time_and_class(dice, timesteps, set);
    config
}

fn time_and_class(dice: &Dice, timesteps: usize, mut set: impl FnMut(&str, Value)) {
    match dice.below(5) {
        0 => set("time_embedding_type", "fourier".into()),
        1 => {
            set("time_embedding_type", "learned".into());
            set("num_train_timesteps", timesteps.into());
        }
        _ => {
            set("flip_sin_to_cos", (dice.below(2) == 0).into());
            set("freq_shift", dice.below(2).into());
        }
    }
    if dice.rarely(3) {
        set("time_embedding_dim", dice.one(&[5, 16, 40]).into());
    }
    match dice.below(4) {
        0 => set("num_class_embeds", (2 + dice.below(9)).into()),
        1 => {
            set("num_class_embeds", (2 + dice.below(9)).into());
            set("class_embed_type", "timestep".into());
        }
        _ => {}
    }
}

fn scheduler(dice: &Dice, timesteps: usize, fourier: bool) -> (&'static str, Value) {
    let class = dice.one(&["DDPMScheduler", "DDIMScheduler"]);
    let mut map = Map::new();
    let mut set = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
    set("num_train_timesteps", timesteps.into());
    let known = if class == "DDPMScheduler" { 5 } else { 3 };
    let schedules = ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace"];
    set("beta_schedule", dice.one(&schedules[..known]).into());
    if dice.rarely(2) {
        let (start, end) = dice.one(&[(8.5e-4, 0.012), (1e-3, 0.05), (0.002, 0.002)]);
        set("beta_start", start.into());
        set("beta_end", end.into());
    }
    if dice.rarely(6) {
        let betas: Vec<f64> = (0..timesteps).map(|_| 1e-4 + 0.03 * dice.unit()).collect();
        set("trained_betas", betas.into());
    }
    let prediction = dice.one(&["epsilon", "sample", "v_prediction"]);
    set("prediction_type", prediction.into());
    if prediction != "epsilon" && dice.rarely(2) {
        set("rescale_betas_zero_snr", true.into());
    }
    set("clip_sample", (!dice.rarely(3)).into());
    if dice.rarely(2) {
        set("clip_sample_range", dice.one(&[1.0, 1.5, 0.4, 3.0]).into());
    }
    // A network of logarithms knows no timestep 0.
    set("steps_offset", (usize::from(fourier) + dice.below(2)).into());
    set("timestep_spacing", dice.one(&["leading", "trailing", "linspace"]).into());
    if class == "DDIMScheduler" {
        set("set_alpha_to_one", (dice.below(2) == 0).into());
    } else {
        set("variance_type", dice.one(&["fixed_small", "fixed_large", "fixed_small_log"]).into());
    }
    (class, Value::Object(map))
}

/// How the folder is written.
fn form(dice: &Dice) -> Value {
    let layout = dice.one(&["pipeline", "pipeline", "pipeline", "flat", "flat", "alone", "checkpoint"]);
    let safetensors = !dice.rarely(3);
    let plain = layout == "checkpoint";
    let (dtype, variant) = match dice.below(6) {
        0 if !plain => ("float16", Some("fp16")),
        1 if !plain => ("bfloat16", Some("bf16")),
        2 if !plain => ("float16", None),
        _ => ("float32", None),
    };
    let old_names = !safetensors && !plain && dice.rarely(2);
    json!({
        "layout": layout,
        "safetensors": safetensors,
        "dtype": dtype,
        "variant": variant,
        "shards": !old_names && dice.rarely(3),
        "old_names": old_names,
        "zip": dice.below(2) == 0,
        "without_defaults": dice.rarely(3),
    })
}
