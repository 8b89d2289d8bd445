//! Folders of diffusers, written and read: by this crate to the byte, and by the import to the same images.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use fewstep_export::{About, DiffusersPipeline, read_back};
use fewstep_import::{Hints, Pipeline};
use fewstep_models::ddpm::{DdpmConfig, Heads, Resampling};
use fewstep_models::edm::SongConfig;
use fewstep_models::unet2d::{LevelBlocks, MidBlock, TimeEmbedding, UNet2dConfig};
use fewstep_models::{Architecture, LineTime, ModelConfig, Prediction, TimeInput};
use fewstep_samplers::{LabelRule, Model, ModelCard, ModelFile, Role, Sampler, Solver};
use fewstep_schedules::{BetaTable, CleanEnd, Schedule};
use fewstep_torch::{Compute, Tensor};

/// Half the tenth of an 8-bit level that an export may move a value by, in `[-1, 1]`.
const TENTH: f64 = 0.1 * 2.0 / 255.0;

fn unet(table: BetaTable) -> UNet2dConfig {
    UNet2dConfig {
        image_channels: 1,
        resolution: 8,
        widths: vec![8, 16],
        n_res_blocks: 1,
        down: vec![
            LevelBlocks { attention: false, resampling: Resampling::Conv },
            LevelBlocks { attention: true, resampling: Resampling::Conv },
        ],
        up: vec![
            LevelBlocks { attention: false, resampling: Resampling::Conv },
            LevelBlocks { attention: false, resampling: Resampling::Residual },
        ],
        mid: Some(MidBlock { attention: true, attention_norm_groups: Some(4), divisor: 1.0 }),
        heads: Heads::Width(4),
        norm_groups: 4,
        norm_eps: 1e-5,
        affine_time: false,
        one_sided_padding: true,
        activation: Default::default(),
        center_input: false,
        // Shorter than the first level is wide: the folder pads it.
        embedding: TimeEmbedding::Sinusoids { channels: 6, cosines_first: true, shift: 0.0 },
        embedding_channels: 16,
        n_classes: 0,
        class_input: Default::default(),
        time: TimeInput::Timesteps { table },
    }
}

fn ddpm() -> DdpmConfig {
    DdpmConfig {
        image_channels: 1,
        resolution: 8,
        channels: 32,
        channel_mult: vec![1, 2],
        n_res_blocks: 1,
        attention_resolutions: vec![4],
        heads: Heads::Width(16),
        embedding_channels: 32,
        ..DdpmConfig::cifar10()
    }
}

fn student(model: ModelConfig, schedule: Schedule, timesteps: usize, visits: &[usize]) -> ModelFile {
    let network = model.build().unwrap();
    // Parameters that start as zero would hide layers.
    let flat = network.layout().initial(3).unwrap() * 1.1 + 0.01;
    let card = ModelCard {
        sampler: Sampler { keep_noise: true, ..Sampler::default() },
        ..ModelCard::new(model, schedule, timesteps, visits.to_vec(), Role::Student)
    };
    ModelFile { card, network, flat }
}

fn of_table(prediction: Prediction, table: BetaTable, visits: &[usize]) -> ModelFile {
    let model = ModelConfig { network: Architecture::UNet2d(unet(table.clone())), prediction };
    student(model, Schedule::Betas(table), 1000, visits)
}

fn written(file: &ModelFile, folder: &Path) {
    DiffusersPipeline::of(file).unwrap().write(folder, &About::default()).unwrap();
}

fn images(model: &Model) -> Tensor {
    let mut parts = Vec::new();
    let mut keep = |s: fewstep_samplers::Sampled| -> Result<(), fewstep_samplers::Error> {
        parts.push(s.x0.clamp(-1.0, 1.0));
        Ok(())
    };
    model.stream(0..4u64, 4, &LabelRule::Uniform, &mut keep).unwrap();
    Tensor::cat(&parts, 0)
}

/// Students of both networks, of all predictions, over even and uneven partitions.
fn students() -> Vec<ModelFile> {
    let table = BetaTable::default();
    let zero = BetaTable { zero_terminal_snr: true, ..BetaTable::default() };
    let mut all = vec![
        of_table(Prediction::Eps, table.clone(), &[0, 1000]),
        of_table(Prediction::X0, table.clone(), &[0, 333, 667, 1000]),
        of_table(Prediction::Eps, table, &[0, 10, 500, 900, 1000]),
        of_table(Prediction::V, zero, &[0, 500, 1000]),
    ];
    for (prediction, resampling) in
        [(Prediction::V, Resampling::Conv), (Prediction::X0, Resampling::Residual)]
    {
        let network = Architecture::DdpmUnet(DdpmConfig { resampling, ..ddpm() });
        let model = ModelConfig { network, prediction };
        all.push(student(model, Schedule::default(), 64, &[0, 8, 40, 64]));
    }
    all
}

#[test]
fn a_folder_is_the_model_again_and_gives_its_images_without_our_card() {
    fewstep_torch::prepare().unwrap();
    for file in students() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("student");
        written(&file, &folder);
        let back = read_back(&folder).unwrap().unwrap();
        assert_eq!(back.card, file.card);
        assert_eq!(back.flat, file.flat, "every parameter, to the bit");

        // What any other program sees: the scheduler's table, and the network.
        std::fs::remove_file(folder.join("fewstep.json")).unwrap();
        assert!(read_back(&folder).unwrap().is_none());
        let pipeline = Pipeline::read(&folder, None).unwrap();
        let found = pipeline.recognise(&Hints::default()).unwrap();
        let Architecture::UNet2d(UNet2dConfig { time: TimeInput::Timesteps { table }, .. }) =
            &found.config.network
        else {
            panic!("{:?}", found.config)
        };
        let steps = file.card.own_steps();
        let network = found.config.build().unwrap();
        let flat = found.parameters(network.as_ref()).unwrap();
        let sampling = found.sampling.unwrap();
        let sampler = Sampler { keep_noise: sampling.keep_noise, ..Sampler::default() };
        let grid = table.grid(steps).unwrap();
        let theirs = images(&Model {
            network,
            flat,
            compute: Compute::F32,
            grid,
            clip: sampling.clip.unwrap(),
            sampler,
        });
        let ours = images(&file.model(None, fewstep_torch::Device::Cpu, Compute::F32).unwrap());
        let error = (theirs - ours).abs().max().double_value(&[]);
        assert!(error < TENTH, "{:?} over {:?}: {error}", file.card.model.prediction, file.card.visits);
    }
}

#[test]
fn a_folder_that_was_changed_is_refused() {
    fewstep_torch::prepare().unwrap();
    let file = of_table(Prediction::Eps, BetaTable::default(), &[0, 500, 1000]);
    for (name, from, to) in [
        ("unet/config.json", "\"norm_num_groups\": 4", "\"norm_num_groups\": 2"),
        ("scheduler/scheduler_config.json", "\"clip_sample\": true", "\"clip_sample\": false"),
        ("fewstep.json", "500", "400"),
        ("fewstep.json", "{", "["),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("student");
        written(&file, &folder);
        let path = folder.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{name} has {from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let e = read_back(&folder).unwrap_err().to_string();
        assert!(e.contains("was changed") || e.contains(name), "{e}");
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("student");
    written(&file, &folder);
    let pipeline = DiffusersPipeline::of(&file).unwrap();
    let e = pipeline.write(&folder, &About::default()).unwrap_err().to_string();
    assert!(e.contains("student"), "a folder that is there stays: {e}");
}

#[test]
fn what_a_folder_cannot_express_is_named() {
    let base = of_table(Prediction::Eps, BetaTable::default(), &[0, 500, 1000]);
    let with = |change: &dyn Fn(&mut ModelFile)| {
        let mut file = of_table(Prediction::Eps, BetaTable::default(), &[0, 500, 1000]);
        change(&mut file);
        DiffusersPipeline::of(&file).unwrap_err().to_string()
    };
    let of = |model: ModelConfig, schedule: Schedule| {
        let file = student(model, schedule, 40, &[0, 40]);
        DiffusersPipeline::of(&file).unwrap_err().to_string()
    };
    assert!(DiffusersPipeline::of(&base).is_ok());
    let e = with(&|f| f.card.sampler.keep_noise = false);
    assert!(e.contains("2 clipped steps") && e.contains("--keep-noise"), "{e}");
    let e = with(&|f| f.card.sampler = Solver::Heun.into());
    assert!(e.contains("heun"), "{e}");
    let e = with(&|f| f.card.compute = Compute::F64);
    assert!(e.contains("f64"), "{e}");
    let e = with(&|f| {
        f.card.schedule = Schedule::Betas(BetaTable { clean_end: CleanEnd::First, ..BetaTable::default() });
        f.card.timesteps = 500;
        f.card.visits = vec![0, 500];
    });
    assert!(e.contains("clean_end"), "{e}");
    let song = Architecture::SongUnet(SongConfig { channels: 8, ..SongConfig::cifar10_ddpmpp() });
    let e = of(ModelConfig::from(song.clone()), Schedule::karras());
    assert!(e.contains("unit variance") && e.contains("--format torch"), "{e}");
    let e = of(ModelConfig::from(song), Schedule::default());
    assert!(e.contains("song_unet"), "{e}");
    let heads = ModelConfig { network: Architecture::DdpmUnet(ddpm()), prediction: Prediction::X0AndEps };
    assert!(of(heads, Schedule::default()).contains("two heads"));
    let time = TimeInput::Line { time: LineTime::FromData, scale: 1.0 };
    let line = UNet2dConfig { time, ..unet(BetaTable::default()) };
    let line = ModelConfig { network: Architecture::UNet2d(line), prediction: Prediction::Flow };
    assert!(of(line, Schedule::Line {}).contains("line"));
    let groups = DdpmConfig { channels: 24, heads: Heads::Count(1), ..ddpm() };
    let e = of(
        ModelConfig { network: Architecture::DdpmUnet(groups), prediction: Prediction::X0 },
        Schedule::default(),
    );
    assert!(e.contains("numbers of groups"), "{e}");
    let wide = DdpmConfig { channel_mult: vec![2, 2], ..ddpm() };
    let e = of(
        ModelConfig { network: Architecture::DdpmUnet(wide), prediction: Prediction::X0 },
        Schedule::default(),
    );
    assert!(e.contains("first level"), "{e}");
}

#[test]
fn what_a_message_quotes_of_a_folder_is_escaped_and_short() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("student");
    let file = of_table(Prediction::Eps, BetaTable::default(), &[0, 1000]);
    written(&file, &folder);
    let says = |what: &str| {
        let e = read_back(&folder).unwrap_err().to_string();
        assert!(e.contains(what) && e.contains("\\u{1b}[2J") && !e.contains('\u{1b}'), "{e}");
        assert!(e.len() < 1000, "{e}");
    };
    let weights = folder.join("unet/diffusion_pytorch_model.safetensors");
    let mut tensors: Vec<_> = fewstep_torch::load(&weights).unwrap().tensors.into_iter().collect();
    tensors.push((format!("\u{1b}[2J{}", "x".repeat(10_000)), Tensor::from_slice(&[0f32])));
    fewstep_torch::save(&weights, &tensors, None).unwrap();
    says("is not a parameter");
    let card = std::fs::read_to_string(folder.join("fewstep.json")).unwrap();
    let key = format!("{{\"\\u001b[2J{}\": 1,", "x".repeat(10_000));
    std::fs::write(folder.join("fewstep.json"), card.replacen('{', &key, 1)).unwrap();
    says("is no model card");
}

/// An exported folder as one text, in the form that `fuzz/teachers` reads; only the time vectors keep their values.
fn folder_text(file: &ModelFile) -> String {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("student");
    written(file, &folder);
    let mut text = String::new();
    for name in ["unet/config.json", "scheduler/scheduler_config.json", "fewstep.json"] {
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
        text += &format!("\n=== {name}\n{json}");
    }
    let weights = "unet/diffusion_pytorch_model.safetensors";
    text += &format!("\n=== {weights}\n@");
    let mut tensors: Vec<_> =
        fewstep_torch::load(&folder.join(weights)).unwrap().tensors.into_iter().collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, t) in tensors {
        let extents: Vec<String> = t.size().iter().map(|n| n.to_string()).collect();
        let values = match name.starts_with("time_proj") {
            false => String::new(),
            true => {
                let values = Vec::<f32>::try_from(t.reshape([-1])).unwrap();
                format!(" ={}", values.iter().map(|v| v.to_string()).collect::<Vec<_>>().join(","))
            }
        };
        text += &format!("{name} {}{values}\n", extents.join(","));
    }
    text
}

#[test]
#[ignore = "writes fuzz/teachers/corpus"]
fn write_the_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/teachers/corpus/exported");
    std::fs::create_dir_all(&corpus).unwrap();
    let zeros = |mut file: ModelFile| {
        file.flat = file.flat.zeros_like();
        file
    };
    let table = BetaTable::default();
    let small = UNet2dConfig {
        widths: vec![4],
        down: vec![LevelBlocks::default()],
        up: vec![LevelBlocks { attention: true, ..LevelBlocks::default() }],
        mid: None,
        embedding: TimeEmbedding::Sinusoids { channels: 4, cosines_first: false, shift: 1.0 },
        ..unet(table.clone())
    };
    let small = ModelConfig { network: Architecture::UNet2d(small), prediction: Prediction::Eps };
    let small = student(small, Schedule::Betas(table), 1000, &[0, 500, 1000]);
    std::fs::write(corpus.join("unet2d"), folder_text(&zeros(small))).unwrap();
    let own = DdpmConfig { channel_mult: vec![1], attention_resolutions: vec![], ..ddpm() };
    let own = DdpmConfig { heads: Heads::Count(1), embedding_channels: 8, ..own };
    let own = ModelConfig { network: Architecture::DdpmUnet(own), prediction: Prediction::V };
    let own = student(own, Schedule::default(), 64, &[0, 64]);
    std::fs::write(corpus.join("ddpm_unet"), folder_text(&zeros(own))).unwrap();
}
