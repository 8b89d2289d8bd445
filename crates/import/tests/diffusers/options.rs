//! Parts, options and numbers that are refused.

use std::fs;

use serde_json::{Value, json};

use crate::folder::{CONFIG, Folder, INDEX, SCHEDULER, WEIGHTS};

#[test]
fn another_pipeline_is_named_with_its_parts() {
    let part = |class: &str| json!(["diffusers", class]);
    let clip = |class: &str| json!(["transformers", class]);
    let unet = || part("UNet2DModel");
    for (index, parts) in [
        (
            json!({"_class_name": "LDMPipeline", "vqvae": part("VQModel"), "unet": unet(), "scheduler": part("DDIMScheduler")}),
            vec!["LDMPipeline", "`vqvae`"],
        ),
        (
            json!({
                "_class_name": "StableDiffusionPipeline",
                "feature_extractor": clip("CLIPImageProcessor"),
                "requires_safety_checker": true,
                "safety_checker": [null, null],
                "scheduler": part("PNDMScheduler"),
                "text_encoder": clip("CLIPTextModel"),
                "unet": part("UNet2DConditionModel"),
                "vae": part("AutoencoderKL"),
            }),
            vec!["StableDiffusionPipeline", "`feature_extractor`, `text_encoder`, `vae`"],
        ),
        (
            json!({"_class_name": "DiTPipeline", "transformer": part("DiTTransformer2DModel"), "vae": part("AutoencoderKL")}),
            vec!["DiTPipeline", "`transformer`"],
        ),
        (
            json!({"_class_name": "DDPMPipeline", "unet": part("UNet2DConditionModel"), "scheduler": part("DDPMScheduler")}),
            vec!["`unet` is a UNet2DConditionModel", "UNet2DModel"],
        ),
        (json!({"_class_name": "DDPMPipeline", "scheduler": part("DDPMScheduler")}), vec!["without `unet`"]),
        (json!([1]), vec!["no object"]),
        (
            json!({"_class_name": "DDPMPipeline", "unet": 3, "scheduler": part("DDPMScheduler")}),
            vec!["`unet`"],
        ),
    ] {
        let folder = Folder::new();
        folder.write("model_index.json", index.to_string());
        folder.refused(&[&["model_index.json"], &parts[..]].concat());
    }
}

#[test]
fn parts_that_are_not_there_or_off_are_no_parts() {
    let folder = Folder::new();
    for value in [json!(null), json!([null, null]), json!(true), json!(1)] {
        folder.set("model_index.json", "safety_checker", value);
        assert!(folder.taken(None).is_ok());
    }
}

#[test]
fn options_that_are_not_taken_are_named() {
    for (key, value, says) in [
        ("class_embed_type", json!("identity"), "vectors"),
        ("class_embed_type", json!("simple_projection"), "expected null or timestep"),
        ("class_embed_type", json!("timestep"), "num_class_embeds"),
        ("num_class_embeds", json!(1), "at least 2"),
        ("num_class_embeds", json!(-3), "at least 2"),
        ("out_channels", json!(6), "as many as in_channels"),
        ("_class_name", json!("UNet2DConditionModel"), "expected UNet2DModel"),
        ("_class_name", json!(7), "expected a text"),
        ("sample_size", json!([8, 16]), "square"),
        ("sample_size", json!(7), "halved"),
        ("sample_size", json!(8.5), "whole number"),
        ("sample_size", json!(0), "at least 1"),
        ("down_block_types", json!(["AttnSkipDownBlock2D", "SkipDownBlock2D"]), "expected DownBlock2D"),
        ("down_block_types", json!(["KDownBlock2D", "DownBlock2D"]), "expected DownBlock2D"),
        ("down_block_types", json!(["UpBlock2D", "DownBlock2D"]), "expected DownBlock2D"),
        ("down_block_types", json!("DownBlock2D"), "list of texts"),
        ("up_block_types", json!(["CrossAttnUpBlock2D", "UpBlock2D"]), "expected UpBlock2D"),
        ("up_block_types", json!(["UpBlock2D"]), "`block_out_channels`"),
        ("block_out_channels", json!([8]), "one width per block"),
        ("block_out_channels", json!([8, 10]), "`norm_num_groups`"),
        ("block_out_channels", json!([8, "8"]), "whole numbers"),
        ("block_out_channels", json!([8, -8]), "at least one channel"),
        ("layers_per_block", json!([1, 2]), "whole number"),
        ("layers_per_block", json!(0), "at least 1"),
        ("mid_block_type", json!("UNetMidBlock2DCrossAttn"), "expected UNetMidBlock2D or null"),
        ("mid_block_scale_factor", json!(0), "above 0"),
        ("downsample_padding", json!(2), "expected 0 or 1"),
        ("downsample_type", json!("fir"), "expected conv or resnet"),
        ("upsample_type", json!("fir"), "expected conv or resnet"),
        ("resnet_time_scale_shift", json!("ada_group"), "expected default or scale_shift"),
        ("act_fn", json!("geglu"), "expected silu"),
        ("attention_head_dim", json!([8, 8]), "whole number"),
        ("attention_head_dim", json!(9), "cannot be split"),
        ("attention_head_dim", json!(0), "cannot be split"),
        ("attn_norm_num_groups", json!(3), "do not divide"),
        ("norm_num_groups", json!(3), "do not divide"),
        ("norm_eps", json!("1e-5"), "expected a number"),
        ("norm_eps", json!(0), "above 0"),
        ("time_embedding_type", json!("gaussian"), "expected positional"),
        ("time_embedding_type", json!("learned"), "`num_train_timesteps`"),
        ("center_input_sample", json!("no"), "true or false"),
        ("freq_shift", json!(4), "`time_embedding_type` is missing: shift must be below 4"),
        ("cross_attention_dim", json!(768), "not known"),
        ("an_option_of_next_year", json!("on"), "not known"),
        ("an_option\nof next year", json!(1), "not known"),
    ] {
        let folder = Folder::new();
        folder.set(CONFIG, key, value);
        // Where two keys contradict each other, one of them is named.
        let named = if says.starts_with('`') { String::new() } else { format!("`{}`", key.escape_debug()) };
        folder.refused(&[CONFIG, &named, says]);
    }
    let folder = Folder::new();
    folder.set(CONFIG, "time_embedding_type", "learned".into());
    folder.set(CONFIG, "num_train_timesteps", 99.into());
    folder.refused(&[CONFIG, "99 learned timesteps"]);
    // What is off is not looked at: it is what its absence means.
    let folder = Folder::new();
    folder.set(CONFIG, "an_option_of_next_year", false.into());
    folder.set(CONFIG, "another", Value::Null);
    folder.set(CONFIG, "_remark", "on".into());
    assert!(folder.taken(None).is_ok());
}

#[test]
fn schedulers_that_are_not_taken_are_named() {
    for (key, value, says) in [
        ("_class_name", json!("EulerDiscreteScheduler"), "expected one of DDPMScheduler"),
        ("_class_name", json!("ScoreSdeVeScheduler"), "expected one of DDPMScheduler"),
        ("variance_type", json!("learned_range"), "variance"),
        ("thresholding", json!(true), "threshold"),
        ("prediction_type", json!("flow_prediction"), "expected epsilon"),
        ("beta_schedule", json!("exp"), "expected linear"),
        ("beta_start", json!(2), "start"),
        ("beta_end", json!("0.02"), "expected a number"),
        ("beta_end", json!(1e300), "end"),
        ("trained_betas", json!([0.1, 0.2]), "as many values as timesteps"),
        ("trained_betas", json!("0.1"), "list of numbers"),
        ("num_train_timesteps", json!(0), "timesteps"),
        ("num_train_timesteps", json!(-1), "at least 1"),
        ("num_train_timesteps", json!(1u64 << 62), "timesteps"),
        ("num_train_timesteps", json!("many"), "whole number"),
        ("clip_sample_range", json!(0), "clip"),
        ("clip_sample_range", json!(-1.5), "clip"),
        ("clip_sample", json!("yes"), "true or false"),
        ("rescale_betas_zero_snr", json!(1), "true or false"),
    ] {
        let folder = Folder::new();
        folder.set(SCHEDULER, key, value);
        folder.refused(&[SCHEDULER, says]);
    }
    let folder = Folder::new();
    folder.remove(SCHEDULER);
    // The request can say it then.
    folder.refused(&["trained_as"]);
}

#[test]
fn huge_numbers_are_refused_before_anything_is_made_of_them() {
    for key in [
        "layers_per_block",
        "in_channels",
        "sample_size",
        "num_class_embeds",
        "time_embedding_dim",
        "attn_norm_num_groups",
        "norm_num_groups",
        "attention_head_dim",
        "freq_shift",
        "mid_block_scale_factor",
    ] {
        for huge in
            [json!(i64::MAX), json!(i64::MIN), json!(u64::MAX), json!(1e18), json!(1e300), json!(1u64 << 31)]
        {
            let folder = Folder::new();
            folder.set(CONFIG, key, huge.clone());
            if key == "in_channels" {
                folder.set(CONFIG, "out_channels", huge.clone());
            }
            let taken = folder.taken(None);
            // A shift far below 0 makes all frequencies one, and a huge divisor a network of nothing, without a fault.
            let is_number = ["freq_shift", "mid_block_scale_factor"].contains(&key);
            assert!(taken.is_err() || is_number, "{key} of {huge}: {taken:?}");
        }
    }
    for widths in [[i64::MAX; 2], [1 << 40; 2], [i64::MAX / 8 * 8; 2], [8, 1 << 62]] {
        let folder = Folder::new();
        folder.set(CONFIG, "block_out_channels", json!(widths));
        folder.refused(&[]);
    }
    for text in ["1e999", "-1e999", "99999999999999999999999999999999"] {
        let folder = Folder::new();
        let path = folder.path().join(CONFIG);
        let config = fs::read_to_string(&path)
            .unwrap()
            .replace("\"norm_num_groups\":4", &format!("\"norm_num_groups\":{text}"));
        assert!(config.contains(text));
        folder.write(CONFIG, config);
        folder.refused(&[CONFIG]);
    }
    let folder = Folder::new();
    folder.set(CONFIG, "block_out_channels", json!(vec![8; 100]));
    folder.set(CONFIG, "down_block_types", json!(vec!["DownBlock2D"; 100]));
    folder.set(CONFIG, "up_block_types", json!(vec!["UpBlock2D"; 100]));
    folder.refused(&[CONFIG, "`block_out_channels`", "32 levels"]);
}

#[test]
fn json_that_is_none_is_named() {
    let deep = |open: &str, close: &str| open.repeat(100_000) + &close.repeat(100_000);
    for text in [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "7".to_owned(),
        "{\"sample_size\": 8,}".to_owned(),
        "{\"sample_size\": NaN}".to_owned(),
        "\u{feff}{}".to_owned(),
        deep("[", "]"),
        deep("{\"a\":", "}"),
        format!("{{\"a\":{}}}", deep("[", "]")),
    ] {
        for file in ["model_index.json", CONFIG, SCHEDULER] {
            let folder = Folder::new();
            folder.write(file, &text);
            folder.refused(&[file]);
        }
        let folder = Folder::new();
        folder.remove(WEIGHTS);
        folder.write(INDEX, text);
        folder.refused(&[INDEX]);
    }
    let folder = Folder::new();
    folder.write(CONFIG, b"{\"_class_name\": \"\xff\"}");
    folder.refused(&[CONFIG]);
}
