//! Models of every network, exported for PyTorch: the Python file beside the weights gives the images that are sampled here.

use std::path::Path;
use std::process::Command;

use fewstep_export::{About, PytorchFolder, read_back};
use fewstep_models::ddpm::{DdpmConfig, Heads, Resampling};
use fewstep_models::edm::{AdmConfig, Decoder, Encoder, NoiseEmbedding, Preconditioner, SongConfig};
use fewstep_models::lucidrains::{LevelAttention, LucidrainsConfig};
use fewstep_models::nn::Activation;
use fewstep_models::unet2d::{ClassInput, LevelBlocks, MidBlock, TimeEmbedding, UNet2dConfig};
use fewstep_models::{Architecture, LineTime, ModelConfig, Network, Prediction, TimeInput, X0Clip};
use fewstep_samplers::{LabelRule, ModelCard, ModelFile, Role, Sampler};
use fewstep_schedules::{BetaTable, Schedule};
use fewstep_torch::{Compute, Device, Kind, ParamRole, Tensor};
use serde_json::{Value, json};

use crate::sampled::{self, noise, sampled};

/// Images per model.
const N: usize = 8;
/// Largest difference over the standard deviation of the images. A network that predicts noise rounds it in f32, and the
/// image has that rounding times the noise level, 80 where EDM's levels begin: there it is four roundings of such a product.
const F32: f64 = 1e-5;
const F32_OF_NOISE: f64 = 4.0 * 80.0 * f32::EPSILON as f64;
const F64: f64 = 1e-11;

/// A model with a name for messages, the kind that it computes in, and how far apart images may be.
struct Case {
    what: String,
    file: ModelFile,
    tolerance: f64,
}

fn song() -> SongConfig {
    SongConfig {
        image_channels: 2,
        resolution: 8,
        channels: 16,
        channel_mult: vec![1, 2, 1],
        n_res_blocks: 1,
        attention_resolutions: vec![4],
        ..SongConfig::cifar10_ddpmpp()
    }
}

fn edm_networks() -> Vec<Architecture> {
    let ncsnpp = SongConfig {
        embedding: NoiseEmbedding::Fourier,
        encoder: Encoder::Residual,
        channel_mult_noise: 2,
        resample_filter: vec![1.0, 3.0, 3.0, 1.0],
        preconditioner: Preconditioner::Ve {},
        ..song()
    };
    let skips = SongConfig {
        encoder: Encoder::Skip,
        decoder: Decoder::Skip,
        resample_filter: vec![1.0, 3.0, 3.0, 1.0],
        preconditioner: Preconditioner::Vp {},
        augment_dim: 0,
        ..song()
    };
    let adm = AdmConfig {
        image_channels: 1,
        resolution: 8,
        channels: 16,
        channel_mult: vec![1, 2],
        n_res_blocks: 2,
        attention_resolutions: vec![4],
        head_channels: 16,
        ..AdmConfig::imagenet64()
    };
    let iddpm = AdmConfig { preconditioner: Preconditioner::Iddpm {}, n_classes: 3, ..adm.clone() };
    vec![
        Architecture::SongUnet(song()),
        Architecture::SongUnet(SongConfig { n_classes: 4, ..song() }),
        Architecture::SongUnet(ncsnpp),
        Architecture::SongUnet(skips),
        Architecture::AdmUnet(AdmConfig { n_classes: 0, augment_dim: 5, ..adm }),
        Architecture::AdmUnet(iddpm),
    ]
}

fn ddpm() -> DdpmConfig {
    DdpmConfig {
        image_channels: 1,
        resolution: 8,
        channels: 12,
        channel_mult: vec![1, 2],
        n_res_blocks: 1,
        attention_resolutions: vec![4],
        heads: Heads::Width(6),
        embedding_channels: 32,
        ..DdpmConfig::cifar10()
    }
}

fn lucidrains(time: TimeInput) -> Architecture {
    Architecture::LucidrainsUnet(LucidrainsConfig {
        image_channels: 3,
        resolution: 8,
        channels: 12,
        first_channels: Some(10),
        channel_mult: vec![1, 2],
        attention: vec![
            LevelAttention { heads: 2, head_channels: 6, ..LevelAttention::default() },
            LevelAttention { heads: 3, head_channels: 8, ..LevelAttention::full() },
        ],
        memory: 3,
        time,
    })
}

fn unet2d(time: TimeInput, embedding: TimeEmbedding) -> UNet2dConfig {
    let level = |attention, resampling| LevelBlocks { attention, resampling };
    UNet2dConfig {
        image_channels: 3,
        resolution: 8,
        widths: vec![8, 16],
        n_res_blocks: 2,
        down: vec![level(false, Resampling::Conv), level(true, Resampling::Conv)],
        up: vec![level(true, Resampling::Conv), level(true, Resampling::Residual)],
        mid: Some(MidBlock { attention: true, attention_norm_groups: Some(4), divisor: 1.5 }),
        heads: Heads::Count(2),
        norm_groups: 4,
        norm_eps: 1e-6,
        affine_time: false,
        one_sided_padding: true,
        activation: Activation::Silu,
        center_input: false,
        embedding,
        embedding_channels: 24,
        n_classes: 0,
        class_input: ClassInput::Table,
        time,
    }
}

/// Parameters none of which is zero: what starts as zero would hide layers. Constants keep their values.
fn drawn(network: &dyn Network) -> Tensor {
    let flat = network.layout().initial(7).unwrap();
    for entry in network.layout().params().iter().filter(|entry| entry.role == ParamRole::Trained) {
        let mut values = flat.narrow(0, entry.range().start as i64, entry.len() as i64);
        let _ = values.g_mul_scalar_(1.1).g_add_scalar_(0.01);
    }
    flat
}

/// Models of every network and every option that changes the Python file.
fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add =
        |model: ModelConfig, schedule: Schedule, grid: usize, visits: &[usize], how: (X0Clip, bool)| {
            let (clip, keep_noise) = how;
            let network = model.build().unwrap();
            let noise = |p| matches!(p, Preconditioner::Vp {} | Preconditioner::Iddpm {});
            let of_noise = match &model.network {
                Architecture::SongUnet(config) => noise(config.preconditioner),
                Architecture::AdmUnet(config) => noise(config.preconditioner),
                _ => false,
            };
            let f32 = if of_noise { F32_OF_NOISE } else { F32 };
            for (compute, tolerance) in [(Compute::F32, f32), (Compute::F64, F64)] {
                let flat = drawn(network.as_ref());
                let card = ModelCard {
                    clip,
                    compute,
                    sampler: Sampler { keep_noise, ..Sampler::default() },
                    ..ModelCard::new(model.clone(), schedule.clone(), grid, visits.to_vec(), Role::Student)
                };
                let what = format!("{:?}, {compute}, visits {visits:?}, clip {clip:?}, {keep_noise}", model);
                let flat = flat.to_kind(compute.kind());
                all.push(Case { what, file: ModelFile { card, network: network.clone(), flat }, tolerance });
            }
        };
    let (unit, off) = (X0Clip::UnitRange, X0Clip::Off);
    for network in edm_networks() {
        for (visits, how) in [(&[0, 18][..], (off, false)), (&[0, 5, 11, 18], (unit, true))] {
            add(network.clone().into(), Schedule::karras(), 18, visits, how);
        }
    }
    let conv = DdpmConfig { resampling: Resampling::Conv, affine_time: false, n_classes: 3, ..ddpm() };
    for (config, prediction) in [
        (ddpm(), Prediction::X0AndEps),
        (ddpm(), Prediction::X0),
        (DdpmConfig { heads: Heads::Count(3), ..ddpm() }, Prediction::V),
        (conv, Prediction::X0AndEps),
    ] {
        for (visits, how) in [(&[0, 64][..], (unit, false)), (&[0, 8, 40, 64], (X0Clip::Range(1.5), false))] {
            let network = Architecture::DdpmUnet(config.clone());
            add(ModelConfig { network, prediction }, Schedule::default(), 64, visits, how);
        }
    }
    let table = || BetaTable::default();
    let timesteps = || TimeInput::Timesteps { table: table() };
    let line = |time| TimeInput::Line { time, scale: 1000.0 };
    let betas = || Schedule::Betas(table());
    for (time, prediction, schedule, grid) in [
        (timesteps(), Prediction::V, betas(), 1000),
        (line(LineTime::FromNoise), Prediction::Flow, Schedule::Line {}, 100),
    ] {
        let model = ModelConfig { network: lucidrains(time), prediction };
        add(model.clone(), schedule.clone(), grid, &[0, grid], (unit, false));
        add(model, schedule, grid, &[0, grid / 4, grid], (unit, true));
    }
    let sinusoids = TimeEmbedding::Sinusoids { channels: 12, cosines_first: true, shift: 1.0 };
    let fourier = TimeEmbedding::Fourier { channels: 5 };
    let learned = TimeEmbedding::Learned { timesteps: 1000, channels: 6 };
    let sines = TimeEmbedding::Sinusoids { channels: 8, cosines_first: false, shift: 0.0 };
    let edm = TimeInput::Edm { sigma_data: 0.5, factor: 250.0, boundary: 0.002 };
    let by_class = |class_input| UNet2dConfig {
        n_classes: 4,
        class_input,
        affine_time: true,
        one_sided_padding: false,
        heads: Heads::Width(4),
        activation: Activation::Gelu,
        ..unet2d(timesteps(), sinusoids)
    };
    let no_middle = UNet2dConfig { mid: None, center_input: true, ..unet2d(timesteps(), learned) };
    for (config, prediction, schedule, grid) in [
        (unet2d(timesteps(), sinusoids), Prediction::X0, betas(), 1000),
        (by_class(ClassInput::Table), Prediction::V, betas(), 1000),
        (by_class(ClassInput::Timestep), Prediction::X0, betas(), 1000),
        (UNet2dConfig { activation: Activation::Mish, ..no_middle }, Prediction::V, betas(), 1000),
        (unet2d(line(LineTime::FromData), sines), Prediction::Flow, Schedule::Line {}, 100),
        (unet2d(timesteps(), fourier), Prediction::V, betas(), 1000),
        (unet2d(edm, sinusoids), Prediction::X0, Schedule::karras(), 20),
    ] {
        let model = ModelConfig { network: Architecture::UNet2d(config), prediction };
        add(model.clone(), schedule.clone(), grid, &[0, grid], (off, false));
        add(model, schedule, grid, &[0, grid / 10, grid / 2, grid], (unit, false));
    }
    all
}

/// Exports every model, runs its Python file on the same noise and labels, and compares; reads every folder back.
pub(crate) fn compare(python: &Path, sample: impl Fn(&[Value])) {
    let folder = tempfile::tempdir().unwrap();
    let (mut requests, mut ours) = (Vec::new(), Vec::new());
    let cases = cases();
    for (i, Case { file, .. }) in cases.iter().enumerate() {
        let place = folder.path().join(i.to_string());
        PytorchFolder::of(file).unwrap().write(&place, &About::default()).unwrap();
        let back = read_back(&place).unwrap().unwrap();
        assert_eq!(back.card, file.card);
        assert_eq!(back.flat, file.flat);
        let z = noise(file, i as u64, N, &place);
        let model = file.model(None, Device::Cpu, file.card.compute).unwrap();
        let labels = model.labels(&(0..N as u64).collect::<Vec<_>>(), &LabelRule::Uniform);
        ours.push(sampled(file, &z, &LabelRule::Uniform));
        requests.push(json!({ "folder": place, "labels": labels }));
    }
    sample(&requests);
    let (mut worst, mut wrong) = ([0f64; 2], Vec::new());
    for (i, (Case { what, tolerance, .. }, ours)) in cases.iter().zip(&ours).enumerate() {
        let path = folder.path().join(i.to_string()).join("images.npy");
        let theirs = sampled::images(&path, ours);
        let deviation = ours.std(false).double_value(&[]);
        assert!(deviation > 1e-3, "{what}: images that say nothing, deviation {deviation}");
        let error = (ours - theirs).abs().max().double_value(&[]) / deviation;
        if error >= *tolerance {
            wrong.push(format!("{what}: {error:.1e}, deviation {deviation:.2}"));
        }
        let kind = usize::from(*tolerance == F64);
        worst[kind] = worst[kind].max(error);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    println!("{} models: f32 at most {:.1e}, f64 {:.1e}", cases.len(), worst[0], worst[1]);
    as_a_program(python, &folder.path().join("0"), &ours[0]);
}

/// The Python file run as its docstring says.
fn as_a_program(python: &Path, folder: &Path, ours: &Tensor) {
    let out = folder.join("by_program.npy");
    let mut command = Command::new(python);
    command.arg(folder.join("model.py")).arg(folder.join("z.npy")).arg(&out).env("CUDA_VISIBLE_DEVICES", "");
    assert!(command.status().unwrap().success());
    let theirs = sampled::images(&out, ours);
    let error = (ours - theirs).abs().max().double_value(&[]);
    let largest = ours.abs().max().to_kind(Kind::Double).double_value(&[]);
    assert!(error < F32 * largest.max(1.0), "as a program: {error}");
}
