//! Incomplete and contradictory files: whichever tensor is wrong, the error names it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use fewstep_formats::{Checkpoint, DType, Format, NamedArray, Value};
use fewstep_import::{AttentionOrder, Hints, TrainedAs, recognise};
use fewstep_models::ddpm::Heads;
use fewstep_models::edm::{Preconditioner, SongConfig};
use fewstep_models::{Architecture, ModelConfig, Prediction};
use made::{FILES, TRAINER, arrays, checkpoint, golden, hints, import};

/// Indices of the tensors that the network needs.
fn needed(file: &Checkpoint) -> Vec<usize> {
    // Filters are computed; flax's two counters are not tensors of the network.
    let is_optional =
        |name: &str| name.ends_with("resample_filter") || ["step", "num_sample_steps"].contains(&name);
    (0..file.arrays.len()).filter(|&i| !is_optional(&file.arrays[i].name)).collect()
}

#[test]
fn whichever_tensor_is_missing_it_is_named() {
    for file in FILES {
        let whole = golden(file);
        assert!(import(&whole, &hints(file)).is_ok());
        for i in needed(&whole) {
            let mut damaged = whole.clone();
            let gone = damaged.arrays.remove(i).name;
            let e = import(&damaged, &hints(file)).unwrap_err();
            assert!(e.contains(&gone) && e.contains("missing"), "{file} without {gone}: {e}");
        }
    }
}

#[test]
fn whichever_tensor_has_another_shape_it_is_named() {
    let mut unnamed = Vec::new();
    for file in FILES {
        let whole = golden(file);
        for i in needed(&whole) {
            for axis in 0..whole.arrays[i].shape.len() {
                let mut damaged = whole.clone();
                let array = &mut damaged.arrays[i];
                array.shape[axis] += 1;
                let n: usize = array.shape.iter().product();
                array.data = vec![0; n * array.dtype.size()];
                let name = array.name.clone();
                match import(&damaged, &hints(file)) {
                    Err(e) if e.contains(&name) => {}
                    other => unnamed.push(format!("{file} with another {name}, axis {axis}: {other:?}")),
                }
            }
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
}

#[test]
fn tensors_left_over_are_named() {
    for file in FILES {
        let mut more = golden(file);
        let prefix = if more.kind == Format::FlaxMsgpack { "ema_params." } else { "" };
        for name in ["extra.weight", "down.1.resblocks.conv3.bias", "model.dec.16x16_block9.conv0.bias"] {
            more.arrays.push(NamedArray::from_f32(&format!("{prefix}{name}"), &[2], &[0.0; 2]).unwrap());
        }
        let e = import(&more, &hints(file)).unwrap_err();
        for name in ["extra.weight", "conv3.bias", "16x16_block9.conv0.bias"] {
            assert!(e.contains(name), "{file}: {e}");
        }
    }
}

#[test]
fn many_problems_are_counted_and_the_first_ten_listed() {
    let mut file = golden("ddpm_unet_zip.pt");
    file.arrays.retain(|a| !a.name.starts_with("up."));
    let e = import(&file, &hints("ddpm_unet_zip.pt")).unwrap_err();
    assert!(e.starts_with("tensors that do not fit the network (70 in all): `up.0.resblocks.norm1.weight` is missing, expected shape [128]; "), "{e}");
    assert!(e.ends_with("; and 60 more") && e.matches("is missing").count() == 10, "{e}");
}

#[test]
fn numbers_that_are_no_parameters_are_named() {
    let damaged = |change: &dyn Fn(&mut NamedArray)| {
        let mut file = golden("ddpm_unet_zip.pt");
        change(file.arrays.iter_mut().find(|a| a.name == "out.2.bias").unwrap());
        import(&file, &hints("ddpm_unet_zip.pt")).unwrap_err()
    };
    let e = damaged(&|array| array.data[..4].copy_from_slice(&f32::NAN.to_le_bytes()));
    assert!(e.contains("`out.2.bias` has 1 values that are not finite"), "{e}");
    let e = damaged(&|array| array.dtype = DType::I32);
    assert!(e.contains("`out.2.bias` holds I32, expected floating point numbers"), "{e}");
}

#[test]
fn wrong_hints_are_named_with_what_was_found() {
    let heads = |n| Some(Heads::Count(n));
    let vp = Some(Preconditioner::Vp {});
    for (file, wrong, parts) in [
        (
            "ddpm_unet_flax.msgpack",
            Hints { heads: heads(2), ..hints("ddpm_unet_flax.msgpack") },
            vec!["heads", "Count(2)", "Count(1)"],
        ),
        (
            "ddpm_unet_zip.pt",
            Hints { prediction: Some(Prediction::X0AndEps), ..hints("ddpm_unet_zip.pt") },
            vec!["prediction", "1 image"],
        ),
        (
            "ddpm_unet_zip.pt",
            Hints { preconditioner: vp, ..hints("ddpm_unet_zip.pt") },
            vec!["preconditioner", "DDPM"],
        ),
        (
            "ddpm_unet_zip.pt",
            Hints { resolution: Some(15), ..hints("ddpm_unet_zip.pt") },
            vec!["resolution", "15"],
        ),
        (
            "edm_ncsnpp.pkl",
            Hints { resolution: Some(32), ..Hints::default() },
            vec!["resolution", "32", "16"],
        ),
        (
            "edm_ncsnpp.pkl",
            Hints { preconditioner: vp, ..Hints::default() },
            vec!["preconditioner", "Vp", "Edm"],
        ),
        ("edm_ncsnpp.pkl", Hints { heads: heads(4), ..Hints::default() }, vec!["heads", "song_unet"]),
        (
            "edm_ncsnpp.pkl",
            Hints { prediction: Some(Prediction::V), ..Hints::default() },
            vec!["prediction", "song_unet"],
        ),
    ] {
        let e = import(&golden(file), &wrong).unwrap_err();
        assert!(parts.iter().all(|part| e.contains(part)), "{file}: {e}");
    }
}

#[test]
fn options_that_contradict_the_tensors_are_named() {
    let network = SongConfig {
        resolution: 16,
        channels: 16,
        channel_mult: vec![2, 2],
        n_res_blocks: 2,
        attention_resolutions: vec![16],
        n_classes: 10,
        ..SongConfig::cifar10_ddpmpp()
    };
    let network = ModelConfig::from(Architecture::SongUnet(network)).build().unwrap();
    let whole = checkpoint(arrays(network.as_ref(), ""), Some("EDMPrecond"), Value::Null);
    let with = |key: &str, value: Value| {
        let mut file = whole.clone();
        file.options = Value::Map(vec![(key.to_owned(), value)]);
        file
    };
    let ints = |list: &[i64]| Value::List(list.iter().map(|v| Value::Int(*v)).collect());
    let text = |text: &str| Value::Text(text.to_owned());
    for (key, wrong) in [
        ("img_resolution", Value::Int(32)),
        ("img_channels", Value::Int(1)),
        ("label_dim", Value::Int(0)),
        ("model_type", text("DhariwalUNet")),
        ("model_channels", Value::Int(32)),
        ("channel_mult", ints(&[2, 2, 2])),
        ("channel_mult_emb", Value::Int(2)),
        ("channel_mult_noise", Value::Int(2)),
        ("num_blocks", Value::Int(4)),
        ("attn_resolutions", ints(&[8])),
        ("augment_dim", Value::Int(0)),
        ("encoder_type", text("residual")),
        ("decoder_type", text("skip")),
        ("resample_filter", ints(&[1, 3, 3, 1])),
        ("beta_d", Value::Float(19.0)),
    ] {
        let e = import(&with(key, wrong), &Hints::default()).unwrap_err();
        assert!(e.starts_with(&format!("{key}: the file's own description says")), "{e}");
    }
    // Random frequencies need their tensor.
    let e = import(&with("embedding_type", text("fourier")), &Hints::default()).unwrap_err();
    assert!(e.contains("`model.map_noise.freqs` is missing"), "{e}");
    // Options without effect here are accepted, and unknown options are noted.
    for (key, value) in [
        ("dropout", Value::Float(0.13)),
        ("sigma_max", Value::Float(f64::INFINITY)),
        ("attn_resolutions", ints(&[16, 4])),
        ("resample_filter", ints(&[2, 2])),
    ] {
        assert!(import(&with(key, value), &Hints::default()).is_ok(), "{key}");
    }
    let found = with("scale", Value::Int(2));
    assert_eq!(
        recognise(&found, &Hints::default()).unwrap().notes,
        ["the file's option `scale` is not known and not used"]
    );
    let mut other = whole.clone();
    other.class_name = Some("Precond".into());
    let e = import(&other, &Hints::default()).unwrap_err();
    assert!(e.contains("`Precond`") && e.contains("EDMPrecond"), "{e}");
}

#[test]
fn a_flax_layout_that_is_not_known_is_named() {
    let damaged = |from: &str, to: &str| {
        let mut file = golden("ddpm_unet_flax.msgpack");
        for array in &mut file.arrays {
            array.name = array.name.replace(from, to);
        }
        import(&file, &hints("ddpm_unet_flax.msgpack"))
    };
    assert!(damaged("ema_params", "optimizer.target").is_ok(), "other keys above the network do not matter");
    let damaged = |from: &str, to: &str| damaged(from, to).unwrap_err();
    let e = damaged("down_0.block_0.conv1", "down_0.block_0.Conv_0");
    assert!(e.contains("`ema_params.down_0.block_0.Conv_0.kernel`"), "{e}");
    let e = damaged("mid.attn_1.q", "mid.attn_1.query");
    assert!(e.contains("`ema_params.mid.attn_1.query.kernel`"), "{e}");
    let e = damaged("kernel", "w");
    assert!(e.contains("holds no network that is known") && e.contains(".w`"), "{e}");
}

#[test]
fn hints_of_guided_diffusion_are_refused_for_other_networks() {
    for file in FILES {
        let order = Hints { attention_order: Some(AttentionOrder::New), ..hints(file) };
        let trained = Hints { trained_as: Some(TrainedAs::Flow), ..hints(file) };
        for (wrong, key, said) in [(order, "attention_order", "New"), (trained, "trained_as", "Flow")] {
            let e = import(&golden(file), &wrong).unwrap_err();
            assert!(e.starts_with(&format!("{key}: the request says {said}")), "{file}: {e}");
        }
    }
}

#[test]
fn what_a_message_quotes_is_escaped_and_short() {
    let markers = ["time_embed.0.weight", "time_embed.2.weight", "out.2.weight"];
    let named = |prefixes: &[String]| {
        let names = prefixes.iter().flat_map(|prefix| markers.map(|name| format!("{prefix}.{name}")));
        let arrays = names.map(|name| NamedArray::from_f32(&name, &[1], &[0.0]).unwrap()).collect();
        import(&checkpoint(arrays, None, Value::Null), &Hints::default()).unwrap_err()
    };
    let e = named(&["a\u{1b}[2J".to_owned(), "b".to_owned()]);
    assert!(e.contains("`a\\u{1b}[2J`") && !e.contains('\u{1b}'), "{e}");
    let e = named(&["x".repeat(10_000), "y".to_owned()]);
    assert!(e.contains("xxx...") && e.len() < 500, "{e}");
    let e = named(&(0..100).map(|i| format!("n{i}")).collect::<Vec<_>>());
    assert!(e.ends_with("and 90 more"), "{e}");
}

#[test]
fn more_levels_than_an_image_can_be_halved_for_are_refused() {
    // Where a tensor belongs is summed up over the levels before it: a file of a million levels would take hours.
    let mut file = golden("ddpm_unet_flax.msgpack");
    let hints = hints("ddpm_unet_flax.msgpack");
    let prefix = recognise(&file, &hints).unwrap().entry;
    for level in 0..100 {
        let name = format!("{prefix}.down_{level}.block_0.conv1.kernel");
        file.arrays.retain(|array| array.name != name);
        file.arrays.push(NamedArray::from_f32(&name, &[1, 1, 1, 1], &[0.0]).unwrap());
    }
    let e = import(&file, &hints).unwrap_err();
    assert!(e.contains("down_64.block_0.conv1.kernel`") && !e.contains("down_63."), "{e}");
    let mut file = golden(TRAINER);
    let like =
        file.arrays.iter().find(|array| array.name.starts_with("ema.ema_model.model.downs.0.")).unwrap();
    let like = like.clone();
    for level in 0..100 {
        let name = format!("ema.ema_model.model.downs.{level}.none");
        file.arrays.push(NamedArray { name, ..like.clone() });
    }
    let e = import(&file, &made::hints(TRAINER)).unwrap_err();
    assert!(e.contains("downs.64`") && e.contains("one level more"), "{e}");
}
