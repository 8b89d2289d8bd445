//! Students of all predictions and of 1 to 8 steps, exported, and called in the package as their model cards say: the script
//! runs the lines in the card itself. A student with classes has lines that name four labels.

use std::path::Path;

use fewstep_export::{About, DiffusersPipeline};
use fewstep_models::ddpm::{DdpmConfig, Heads, Resampling};
use fewstep_models::unet2d::{LevelBlocks, MidBlock, TimeEmbedding, UNet2dConfig};
use fewstep_models::{Architecture, ModelConfig, Prediction, TimeInput, X0Clip};
use fewstep_samplers::{LabelRule, ModelCard, ModelFile, Role, Sampler};
use fewstep_schedules::{BetaTable, Schedule};
use fewstep_torch::Tensor;
use serde_json::{Value, json};

use crate::sampled::{self, noise, sampled};

/// Images per student.
const N: usize = 64;
/// The largest difference, in 8-bit levels.
const TENTH: f64 = 0.1;
/// The labels that a card's lines name, 0 to 3.
const LABELS: usize = 4;

fn unet(table: BetaTable, n_classes: i64) -> Architecture {
    let level = |attention| LevelBlocks { attention, resampling: Resampling::Conv };
    Architecture::UNet2d(UNet2dConfig {
        image_channels: 3,
        resolution: 16,
        widths: vec![16, 32],
        n_res_blocks: 1,
        down: vec![level(false), level(true)],
        up: vec![level(false), level(true)],
        mid: Some(MidBlock { attention: true, attention_norm_groups: Some(8), divisor: 1.0 }),
        heads: Heads::Width(8),
        norm_groups: 8,
        norm_eps: 1e-5,
        affine_time: false,
        one_sided_padding: false,
        activation: Default::default(),
        center_input: false,
        embedding: TimeEmbedding::Sinusoids { channels: 16, cosines_first: true, shift: 0.0 },
        embedding_channels: 64,
        n_classes,
        class_input: Default::default(),
        time: TimeInput::Timesteps { table },
    })
}

fn ddpm() -> Architecture {
    Architecture::DdpmUnet(DdpmConfig {
        image_channels: 1,
        resolution: 8,
        channels: 32,
        channel_mult: vec![1, 2],
        n_res_blocks: 1,
        attention_resolutions: vec![4],
        heads: Heads::Width(16),
        embedding_channels: 64,
        ..DdpmConfig::cifar10()
    })
}

/// A student of `network` that visits the indices of the grid of `timesteps`.
fn student(
    network: Architecture,
    prediction: Prediction,
    schedule: Schedule,
    timesteps: usize,
    visits: Vec<usize>,
    clip: X0Clip,
) -> ModelFile {
    let model = ModelConfig { network, prediction };
    let network = model.build().unwrap();
    // What starts as zero would hide layers. As after training, the output is about as large as an image or its noise.
    let flat = network.layout().initial(7).unwrap() * 1.1 + 0.01;
    let card = ModelCard {
        clip,
        sampler: Sampler { keep_noise: clip != X0Clip::Off, ..Sampler::default() },
        ..ModelCard::new(model, schedule, timesteps, visits, Role::Student)
    };
    ModelFile { card, network, flat }
}

fn students() -> Vec<ModelFile> {
    let even = |k: usize| (0..=k).map(|i| i * 1000 / k).collect::<Vec<_>>();
    let mut all = Vec::new();
    for prediction in [Prediction::Eps, Prediction::X0, Prediction::V] {
        for (k, clip) in [
            (1, X0Clip::UnitRange),
            (2, X0Clip::UnitRange),
            (3, X0Clip::Off),
            (4, X0Clip::UnitRange),
            (8, X0Clip::Range(1.5)),
        ] {
            let table = BetaTable::default();
            let schedule = Schedule::Betas(table.clone());
            all.push(student(unet(table, 0), prediction, schedule, 1000, even(k), clip));
        }
        // Uneven, and of this project's own network and schedule. Noise cannot be predicted at its end: f32 has no signal
        // there. The clean end of this schedule keeps noise of 4.5e-5, which the package's does not: a network that was not trained
        // makes much of it in a last step from hardly more.
        let prediction = if prediction == Prediction::Eps { Prediction::V } else { prediction };
        all.push(student(ddpm(), prediction, Schedule::default(), 64, vec![0, 8, 40, 64], X0Clip::UnitRange));
    }
    all
}

/// With classes.
fn conditional_students() -> Vec<ModelFile> {
    let made = |prediction, visits, clip| {
        let table = BetaTable::default();
        student(unet(table.clone(), 10), prediction, Schedule::Betas(table), 1000, visits, clip)
    };
    vec![
        made(Prediction::V, vec![0, 1000], X0Clip::UnitRange),
        made(Prediction::X0, vec![0, 333, 667, 1000], X0Clip::UnitRange),
        made(Prediction::Eps, vec![0, 200, 500, 1000], X0Clip::Off),
    ]
}

/// Images of a student from noise `[n, C, H, W]`, from 0 to 1.
fn images(file: &ModelFile, z: &Tensor, labels: &LabelRule) -> Tensor {
    (sampled(file, z, labels) * 0.5 + 0.5).clamp(0.0, 1.0)
}

/// The same with label `i` modulo 4 for image `i`, as the script has it.
fn images_by_label(file: &ModelFile, z: &Tensor) -> Tensor {
    let of_label = |label: i64| {
        let of_label = images(file, &z.slice(0, label, None, LABELS as i64), &LabelRule::One(label));
        // The next label gives other images: the label is not left out on either side.
        let others = images(file, &z.slice(0, label, None, LABELS as i64), &LabelRule::One(label + 1));
        assert!(255.0 * (&of_label - others).abs().max().double_value(&[]) > 10.0 * TENTH, "label {label}");
        of_label
    };
    Tensor::stack(&(0..LABELS as i64).map(of_label).collect::<Vec<_>>(), 1).flatten(0, 1)
}

/// Exports every student, lets the package sample it from the same noise, and compares.
fn compare(students: &[ModelFile], sample: impl Fn(&[Value]), ours: impl Fn(&ModelFile, &Tensor) -> Tensor) {
    let folder = tempfile::tempdir().unwrap();
    let (mut cases, mut expected) = (Vec::new(), Vec::new());
    for (i, file) in students.iter().enumerate() {
        let place = folder.path().join(i.to_string());
        DiffusersPipeline::of(file).unwrap().write(&place, &About::default()).unwrap();
        let z = noise(file, i as u64, N, &place);
        expected.push(ours(file, &z));
        cases.push(json!({ "folder": place }));
    }
    sample(&cases);
    let mut worst: f64 = 0.0;
    for ((case, file), ours) in cases.iter().zip(students).zip(&expected) {
        let what = format!("{:?}, visits {:?}", file.card.model.prediction, file.card.visits);
        let path = Path::new(case["folder"].as_str().unwrap()).join("images.npy");
        let theirs = sampled::images(&path, ours);
        let levels = 255.0 * (ours - theirs).abs().max().double_value(&[]);
        let varied = ours.std(false).double_value(&[]);
        assert!(levels < TENTH, "{what}: {levels} levels");
        assert!(varied > 0.01, "{what}: images that say nothing, deviation {varied}");
        worst = worst.max(levels);
    }
    println!("{} students: at most {worst:.4} levels", students.len());
}

/// Students without classes, by the pipeline's ordinary call.
pub(crate) fn compare_calls(sample: impl Fn(&[Value])) {
    compare(&students(), sample, |file, z| images(file, z, &LabelRule::Uniform));
}

/// Students with classes, by the loop in their model cards.
pub(crate) fn compare_loops(sample: impl Fn(&[Value])) {
    compare(&conditional_students(), sample, images_by_label);
}

/// A small folder of each network that an export is made of, under its name, for other programs to read.
pub(crate) fn folders(root: &Path) -> Vec<Value> {
    let table = BetaTable::default();
    let unet = |n_classes| {
        let schedule = Schedule::Betas(table.clone());
        let visits = vec![0, 333, 667, 1000];
        student(unet(table.clone(), n_classes), Prediction::V, schedule, 1000, visits, X0Clip::UnitRange)
    };
    let ddpm =
        student(ddpm(), Prediction::X0, Schedule::default(), 64, vec![0, 8, 40, 64], X0Clip::UnitRange);
    let made = [("unet2d", unet(0)), ("unet2d with classes", unet(10)), ("ddpm_unet", ddpm)];
    let write = |(name, file): (&str, ModelFile)| {
        let place = root.join(name);
        DiffusersPipeline::of(&file).unwrap().write(&place, &About::default()).unwrap();
        json!({ "folder": place, "labels": file.network.n_classes() })
    };
    made.into_iter().map(write).collect()
}
