//! Seeds for `fuzz/teachers`: the names and shapes of good files. Its README says how they are written.
#![allow(clippy::unwrap_used)]

mod made;

use std::path::Path;

use fewstep_formats::{Checkpoint, DType, NamedArray, Value};
use fewstep_models::edm::{AdmConfig, Preconditioner};
use fewstep_models::unet2d::UNet2dConfig;
use fewstep_models::{Architecture, ModelConfig, Prediction};
use made::{arrays, golden};

/// The network of the folders. Its `time` is of no matter here.
const SMALL: &str = r#"{
    "kind": "unet2d", "image_channels": 1, "resolution": 4, "widths": [4, 8], "n_res_blocks": 1, "norm_groups": 2,
    "down": [{ "resampling": "conv" }, {}], "up": [{ "resampling": "conv" }, { "attention": true, "resampling": "residual" }],
    "mid": { "attention_norm_groups": 2 }, "heads": { "count": 1 }, "embedding": { "kind": "sinusoids", "channels": 4 }, "embedding_channels": 16,
    "time": { "kind": "line" }
}"#;

/// A tensor as a line. Extents of 32 and more are divided by `by`; only a filter, from which the taps follow, keeps its values.
fn line(array: &NamedArray, by: usize) -> String {
    let extent = |n: &usize| if *n >= 32 { n / by } else { *n };
    let extents: Vec<String> = array.shape.iter().map(|n| extent(n).to_string()).collect();
    let extents = if extents.is_empty() { "-".to_owned() } else { extents.join(",") };
    let kind = match array.dtype {
        DType::F16 => " f16",
        DType::F64 => " f64",
        DType::I64 => " i64",
        _ => "",
    };
    let values = match array.name.ends_with("resample_filter") {
        true => format!(" ={}", words(&array.to_f64())),
        false => String::new(),
    };
    format!("{} {extents}{kind}{values}", array.name)
}

/// Numbers as a line has them.
fn words(values: &[f64]) -> String {
    values.iter().map(|v| (*v as f32).to_string()).collect::<Vec<_>>().join(",")
}

fn lines(arrays: &[NamedArray], by: usize) -> String {
    arrays.iter().map(|array| line(array, by)).collect::<Vec<_>>().join("\n")
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(b) => (*b).into(),
        Value::Int(n) => (*n).into(),
        Value::Float(v) => (*v).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(values) => values.iter().map(json).collect(),
        Value::Map(pairs) => pairs.iter().map(|(key, v)| (key.clone(), json(v))).collect(),
    }
}

fn text(file: &Checkpoint, request: &str, by: usize) -> String {
    let class = file.class_name.as_ref().map(|class| format!(" class={class}")).unwrap_or_default();
    let options = if file.options == Value::Null { String::new() } else { json(&file.options).to_string() };
    format!("{request}{class}\n{options}\n{}", lines(&file.arrays, by))
}

/// The tables of 4 timesteps around a network.
fn tables(prefix: &str) -> String {
    let table = fewstep_schedules::BetaTable {
        betas: fewstep_schedules::Betas::SquaredCosine {},
        timesteps: 4,
        rounding: fewstep_schedules::Rounding::F64,
        ..Default::default()
    };
    let gammas = table.gammas().unwrap();
    let before = std::iter::once(1.0).chain(gammas.iter().copied());
    let betas: Vec<f64> = gammas.iter().zip(before).map(|(g, b)| 1.0 - g / b).collect();
    let one = |name: &str, values: &[f64]| format!("\n{prefix}{name} 4 f32 ={}", words(values));
    one("betas", &betas) + &one("alphas_cumprod", &gammas) + &one("loss_weight", &[1.0; 4])
}

#[test]
#[ignore = "writes fuzz/teachers/corpus"]
fn write_the_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/teachers/corpus");
    let write = |target: &str, name: &str, text: String| {
        std::fs::create_dir_all(corpus.join(target)).unwrap();
        std::fs::write(corpus.join(target).join(name), text).unwrap();
    };
    let teacher = |path: &str| golden(&format!("../teachers/{path}"));
    for (name, path, request) in [
        (
            "updown",
            "guided/uncond_updown_sigma/model.pt",
            "resolution=16 head_channels=16 order=legacy as=linear:1000",
        ),
        ("consistency", "consistency/edm_cond/model.pt", "resolution=16 head_channels=16"),
        ("flow", "flow/guided_unet/model.pt", "resolution=16 heads=1 as=flow"),
    ] {
        write("guided", name, text(&teacher(path), request, 1));
    }
    let mut trainer = teacher("lucidrains/pred_noise_cosine/model-1.pt");
    trainer.arrays.retain(|array| array.name.starts_with("ema.ema_model.model."));
    for array in &mut trainer.arrays {
        array.name = array.name.replace("ema.ema_model.", "");
    }
    write("lucidrains", "diffusion", text(&trainer, "resolution=16", 1) + &tables(""));
    for array in &mut trainer.arrays {
        array.name = array.name.replace("model.", "");
    }
    write("lucidrains", "unet", text(&trainer, "resolution=16 as=sigmoid:1000 prediction=v", 1));
    write("networks", "tract", text(&golden("ddpm_unet_zip.pt"), "resolution=16 heads=1 prediction=x0", 8));
    write(
        "networks",
        "flax",
        text(&golden("ddpm_unet_flax.msgpack"), "resolution=16 prediction=x0 flax=", 8),
    );
    write("networks", "ncsnpp", text(&golden("edm_ncsnpp.pkl"), "", 1));
    let adm = Architecture::AdmUnet(AdmConfig {
        image_channels: 1,
        resolution: 4,
        channels: 64,
        channel_mult: vec![1],
        n_res_blocks: 1,
        attention_resolutions: vec![],
        head_channels: 64,
        channel_mult_emb: 1,
        n_classes: 2,
        augment_dim: 0,
        preconditioner: Preconditioner::Ve {},
    });
    let adm = ModelConfig { network: adm, prediction: Prediction::X0 }.build().unwrap();
    write("networks", "adm", format!("pre=ve\n\n{}", lines(&arrays(adm.as_ref(), ""), 1)));
    folders(&write);
}

fn folders(write: &dyn Fn(&str, &str, String)) {
    let small: UNet2dConfig = {
        let Ok(Architecture::UNet2d(config)) = serde_json::from_str(SMALL) else { return };
        config
    };
    let network = ModelConfig { network: Architecture::UNet2d(small), prediction: Prediction::Flow };
    let tensors = lines(&arrays(network.build().unwrap().as_ref(), ""), 1);
    let config = r#"{"_class_name": "UNet2DModel", "act_fn": "silu", "attention_head_dim": null, "block_out_channels": [4, 8],
 "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "upsample_type": "resnet",
 "downsample_padding": 1, "in_channels": 1, "out_channels": 1, "layers_per_block": 1, "norm_num_groups": 2, "norm_eps": 1e-05,
 "flip_sin_to_cos": true, "freq_shift": 0, "center_input_sample": false, "sample_size": 4, "dropout": 0.0}"#;
    let index = r#"{"_class_name": "DDPMPipeline", "scheduler": ["diffusers", "DDPMScheduler"], "unet": ["diffusers", "UNet2DModel"]}"#;
    let scheduler = r#"{"_class_name": "DDIMScheduler", "num_train_timesteps": 4, "beta_schedule": "linear", "beta_start": 0.0001,
 "beta_end": 0.02, "trained_betas": null, "prediction_type": "v_prediction", "clip_sample": true, "clip_sample_range": 1.5,
 "set_alpha_to_one": false, "rescale_betas_zero_snr": true, "variance_type": "fixed_small", "thresholding": false}"#;
    let pipeline = format!(
        "\n=== model_index.json\n{index}\n=== scheduler/scheduler_config.json\n{scheduler}\n=== unet/config.json\n{config}\n"
    );
    let weights = "diffusion_pytorch_model";
    write("diffusers", "pipeline", format!("{pipeline}=== unet/{weights}.fp16.safetensors\n@{tensors}"));
    let scheduler = r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}"#;
    // The down path alone, in two files: an import says what is missing.
    let down: Vec<&str> = tensors.lines().filter(|line| line.starts_with("down_blocks")).collect();
    let (start, rest) = down.split_at(down.len() / 2);
    let (start, rest) = (start.join("\n"), rest.join("\n"));
    let map = |lines: &str, file: &str| -> Vec<String> {
        lines
            .lines()
            .map(|line| format!("\"{}\": \"{file}\"", line.split(' ').next().unwrap_or_default()))
            .collect()
    };
    let first = "a.safetensors";
    let all = [map(&start, first), map(&rest, "b.safetensors")].concat().join(", ");
    write(
        "diffusers",
        "shards",
        format!(
            "resolution=4\n=== ../scheduler/scheduler_config.json\n{scheduler}\n=== config.json\n{config}\n\
             === {weights}.safetensors.index.json\n{{\"weight_map\": {{{all}}}}}\n=== {first}\n@{start}\n=== b.safetensors\n@{rest}"
        ),
    );
    // Old names, a choice, and no scheduler.
    let old = tensors.replace("to_out.0", "proj_attn").replace("to_q", "query");
    write(
        "diffusers",
        "average",
        format!(
            "as=cosine:50 entry=unet\n=== unet_ema/config.json\n{config}\n=== unet/config.json\n{config}\n\
             === unet/{weights}.bin\n@{old}"
        ),
    );
}
