//! Files written by other programs: tests the recognised network, each of its tensors, and its output.
//!
//! The test reads all of `tests/golden/import`, so it also checks any file added there with its `.expect.safetensors`. The
//! environment variable `FEWSTEP_IMPORTS` names another such folder to check.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use fewstep_formats::{Format, read_checkpoint};
use fewstep_import::{Error, Hints, MissingHint, recognise};
use fewstep_models::ddpm::{DdpmConfig, DdpmNetwork, Heads, Resampling};
use fewstep_models::edm::{AdmConfig, Preconditioner, SongConfig};
use fewstep_models::{Architecture, Conditions, Denoiser, Levels, ModelConfig, Prediction};
use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Kind, Params, SafetensorsFile, Tensor, load, no_grad};
use serde_json::{Value, json};

/// Relative to the standard deviation of the output; with a preconditioner, to that of each denoised sample.
const TOLERANCE: f64 = 2e-5;
/// With VP's preconditioner, where one unit in the last place of f32 changes the network's noise input visibly.
const VP_TOLERANCE: f64 = 1e-4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/import")
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn ints(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect()
}

/// The network described by the reference's arguments and, for missing arguments, the reference's defaults.
fn expected(metadata: &HashMap<String, String>) -> ModelConfig {
    let args: Value = serde_json::from_str(&metadata["arch_args"]).unwrap();
    let int = |key: &str| args[key].as_i64().unwrap();
    let int_or = |key: &str, default: i64| args[key].as_i64().unwrap_or(default);
    if metadata["family"] == "edm" {
        let preconditioner = match metadata.get("precond").map(String::as_str) {
            None | Some("EDMPrecond") => Preconditioner::default(),
            Some("VPPrecond") => Preconditioner::Vp {},
            Some("VEPrecond") => Preconditioner::Ve {},
            Some(other) => panic!("preconditioner {other}"),
        };
        let (channel_mult, resolution) = (ints(&args["channel_mult"]), int("img_resolution"));
        let mut attention_resolutions = ints(&args["attn_resolutions"]);
        attention_resolutions.retain(|r| (0..channel_mult.len()).any(|l| resolution >> l == *r));
        attention_resolutions.sort_unstable_by_key(|r| -r);
        let text = |key: &str, default: &str| {
            if args[key].is_null() { Value::from(default) } else { args[key].clone() }
        };
        let filter = &args["resample_filter"];
        let network = match args["model_type"].as_str() {
            Some("DhariwalUNet") => Architecture::AdmUnet(AdmConfig {
                image_channels: int("img_channels"),
                resolution,
                channels: int("model_channels"),
                channel_mult,
                n_res_blocks: int("num_blocks") as usize,
                attention_resolutions,
                head_channels: 64,
                channel_mult_emb: int_or("channel_mult_emb", 4),
                n_classes: int_or("label_dim", 0),
                augment_dim: int_or("augment_dim", 0),
                preconditioner,
            }),
            _ => Architecture::SongUnet(SongConfig {
                image_channels: int("img_channels"),
                resolution,
                channels: int("model_channels"),
                channel_mult,
                n_res_blocks: int("num_blocks") as usize,
                attention_resolutions,
                channel_mult_emb: int_or("channel_mult_emb", 4),
                channel_mult_noise: int_or("channel_mult_noise", 1),
                embedding: serde_json::from_value(text("embedding_type", "positional")).unwrap(),
                encoder: serde_json::from_value(text("encoder_type", "standard")).unwrap(),
                decoder: serde_json::from_value(text("decoder_type", "standard")).unwrap(),
                resample_filter: if filter.is_null() {
                    vec![1.0, 1.0]
                } else {
                    ints(filter).into_iter().map(|t| t as f64).collect()
                },
                n_classes: int_or("label_dim", 0),
                augment_dim: int_or("augment_dim", 0),
                preconditioner,
            }),
        };
        return ModelConfig { network, prediction: Prediction::X0 };
    }
    let mut attention_resolutions = ints(&args["attn_rezs"]);
    let levels = ints(&args["channel_multiplier"]).len();
    attention_resolutions.retain(|r| (0..levels).any(|l| int("init_rez") >> l == *r));
    attention_resolutions.sort_unstable_by_key(|r| -r);
    let network = DdpmConfig {
        image_channels: int("in_channel"),
        resolution: int("init_rez"),
        channels: int("channel"),
        channel_mult: ints(&args["channel_multiplier"]),
        n_res_blocks: int("n_res_blocks") as usize,
        attention_resolutions,
        heads: args["head_dim"].as_i64().map_or_else(|| Heads::Count(int("attn_heads")), Heads::Width),
        embedding_channels: int("emb_channel"),
        affine_time: args["use_affine_time"] == true,
        resampling: if args["resample"] == true { Resampling::Residual } else { Resampling::Conv },
        n_classes: if int("num_classes") == 1 { 0 } else { int("num_classes") },
    };
    let prediction = if int("num_output") == 2 { Prediction::X0AndEps } else { Prediction::X0 };
    ModelConfig { network: Architecture::DdpmUnet(network), prediction }
}

/// The hints that the file needs, and no others.
fn hints(kind: Format, config: &ModelConfig) -> Hints {
    let Architecture::DdpmUnet(c) = &config.network else { return Hints::default() };
    Hints {
        resolution: Some(c.resolution),
        heads: (kind != Format::FlaxMsgpack).then_some(c.heads),
        prediction: (config.prediction == Prediction::X0).then_some(Prediction::X0),
        ..Hints::default()
    }
}

/// `found` with the heads written as in `want`, if both rules give the same heads in every attention layer.
fn with_heads_of(mut found: ModelConfig, want: &ModelConfig) -> ModelConfig {
    if let (Architecture::DdpmUnet(got), Architecture::DdpmUnet(want)) = (&mut found.network, &want.network) {
        let count = |heads: Heads, channels: i64| match heads {
            Heads::Count(n) => n,
            Heads::Width(width) => channels / width,
        };
        let last = want.channel_mult.len() - 1;
        let attended = |l: &usize| *l == last || want.attention_resolutions.contains(&(want.resolution >> l));
        let mut widths = (0..=last).filter(attended).map(|l| want.channels * want.channel_mult[l]);
        if widths.all(|channels| count(got.heads, channels) == count(want.heads, channels)) {
            got.heads = want.heads;
        }
    }
    found
}

/// Compares `[sum, l2 norm, first six values]` of every tensor, in the network's layout.
fn check_probes(what: &str, params: &Params, expected: &SafetensorsFile) {
    let n_expected = expected.tensors.keys().filter(|name| name.starts_with("w.")).count();
    let mut checked = 0;
    for (name, tensor) in params.named() {
        let Some(probe) = expected.tensors.get(&format!("w.{name}")) else {
            panic!("{what}: {name} has no probe");
        };
        let want = Vec::<f64>::try_from(probe).unwrap();
        let got = Vec::<f64>::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap();
        // A sum depends on its order by a few ulps of the terms; single values must be equal.
        let norm = got.iter().map(|v| v * v).sum::<f64>().sqrt();
        let tolerance = 1e-12 * (got.len() as f64) * norm.max(1e-3);
        assert!((got.iter().sum::<f64>() - want[0]).abs() <= tolerance, "{what}: sum of {name}");
        assert!((norm - want[1]).abs() <= tolerance, "{what}: norm of {name}");
        for (i, want) in want[2..].iter().enumerate() {
            assert_eq!(got.get(i).copied().unwrap_or(0.0), *want, "{what}: element {i} of {name}");
        }
        checked += 1;
    }
    assert_eq!(checked, n_expected, "{what}: tensors with probes");
}

fn check_output(what: &str, config: &ModelConfig, params: &Params, expected: &SafetensorsFile) {
    let _guard = no_grad();
    let tensor = |name: &str| &expected.tensors[name];
    let levels = |name: &str, level: fn(f64) -> NoiseLevel| {
        Levels::new(
            Vec::<f64>::try_from(tensor(name).to_kind(Kind::Double))
                .unwrap()
                .into_iter()
                .map(level)
                .collect(),
        )
    };
    let pairs: Vec<(Tensor, Tensor)> = if let Architecture::DdpmUnet(unet) = &config.network {
        let at = levels("logsnr", NoiseLevel::from_log_snr);
        let network = DdpmNetwork::new(unet.clone(), config.prediction).unwrap();
        let cond = Conditions { labels: expected.tensors.get("y"), ..Conditions::default() };
        let out = network.forward(params, tensor("x"), &at, cond).unwrap();
        vec![(out, tensor("out").shallow_clone())]
    } else {
        let at = levels("sigma", NoiseLevel::from_sigma);
        let labels = Some(tensor("class_onehot")).filter(|_| config.n_classes() > 0);
        let x = tensor("x").to_kind(Kind::Double);
        let network = config.build().unwrap();
        let out = network.denoiser(params).with_labels(labels).denoise(&x, &at).unwrap();
        (0..at.len() as i64).map(|i| (out.get(i), tensor("denoised").get(i))).collect()
    };
    let vp = expected.metadata.get("precond").is_some_and(|class| class == "VPPrecond");
    let tolerance = if vp { VP_TOLERANCE } else { TOLERANCE };
    for (got, want) in pairs {
        let want = want.to_kind(Kind::Double);
        let error = (got.to_kind(Kind::Double) - &want).abs().max().double_value(&[]);
        let error = error / want.std(false).double_value(&[]);
        assert!(error < tolerance, "{what}: {error:.1e} standard deviations");
    }
}

/// Checks every model file against the `NAME.expect.safetensors` with the longest `NAME` that begins the file's name.
fn check_folder(folder: &Path) -> usize {
    let files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let cases: Vec<String> = files
        .iter()
        .filter_map(|path| Some(name(path).strip_suffix(".expect.safetensors")?.to_owned()))
        .collect();
    let mut n_checked = 0;
    for path in &files {
        let is_model =
            ["pt", "pkl", "msgpack"].iter().any(|kind| path.extension().is_some_and(|e| e == *kind));
        let case = cases.iter().filter(|case| name(path).starts_with(*case)).max_by_key(|case| case.len());
        let (true, Some(case)) = (is_model, case) else { continue };
        let stored = load(&folder.join(format!("{case}.expect.safetensors"))).unwrap();
        let want = expected(&stored.metadata);
        let checkpoint = read_checkpoint(&std::fs::read(path).unwrap()).unwrap();
        let hints = hints(checkpoint.kind, &want);
        let found = recognise(&checkpoint, &hints).unwrap_or_else(|e| panic!("{}: {e}", name(path)));
        assert_eq!(with_heads_of(found.config.clone(), &want), want, "{}", name(path));
        assert_eq!(found.notes, Vec::<String>::new(), "{}", name(path));
        let network = found.config.build().unwrap();
        let flat = found.parameters(network.as_ref()).unwrap();
        let params = Params::frozen(network.layout().clone(), &flat).unwrap();
        check_probes(&name(path), &params, &stored);
        check_output(&name(path), &found.config, &params, &stored);
        n_checked += 1;
    }
    n_checked
}

#[test]
fn every_file_gives_its_network_tensors_and_output() {
    assert_eq!(check_folder(&folder()), 3);
    if let Some(folder) = std::env::var_os("FEWSTEP_IMPORTS") {
        let n_checked = check_folder(Path::new(&folder));
        println!("{n_checked} files of {}", folder.display());
        assert!(n_checked > 0);
    }
}

#[test]
fn all_missing_hints_are_listed_at_once() {
    use MissingHint::{Heads, Prediction, Resolution};
    for (file, missing) in [
        ("ddpm_unet_zip.pt", vec![Resolution, Heads, Prediction]),
        ("ddpm_unet_flax.msgpack", vec![Resolution, Prediction]),
    ] {
        let checkpoint = read_checkpoint(&std::fs::read(folder().join(file)).unwrap()).unwrap();
        match recognise(&checkpoint, &Hints::default()).err() {
            Some(Error::MissingHints { what }) => assert_eq!(what, missing, "{file}"),
            other => panic!("{file}: {other:?}"),
        }
    }
}

#[test]
fn a_network_without_its_average_is_called_by_the_entry() {
    let bytes = std::fs::read(folder().join("ddpm_unet_flax.msgpack")).unwrap();
    let checkpoint = read_checkpoint(&bytes).unwrap();
    let asked = |entry: &str| Hints {
        entry: Some(entry.into()),
        resolution: Some(16),
        prediction: Some(Prediction::V),
        ..Hints::default()
    };
    assert_eq!(recognise(&checkpoint, &asked("ema_params")).unwrap().entry, "ema_params");
    let e = recognise(&checkpoint, &asked("params")).err().unwrap().to_string();
    assert!(e.contains("`params`") && e.contains("`ema_params`"), "{e}");
    assert_eq!(json!(recognise(&checkpoint, &asked("ema_params")).unwrap().config.prediction), "v");
}
