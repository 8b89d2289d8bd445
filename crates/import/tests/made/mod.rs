//! Checkpoints for tests, made from networks and read from files.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test file uses some of these functions

use std::path::Path;

use fewstep_formats::{Checkpoint, Format, NamedArray, Value, read_checkpoint};
use fewstep_import::{AttentionOrder, Hints, TrainedAs, recognise};
use fewstep_models::ddpm::Heads;
use fewstep_models::{Network, Prediction};
use fewstep_torch::Params;

/// The freshly drawn tensors of a network, their names after `prefix`.
pub fn arrays(network: &dyn Network, prefix: &str) -> Vec<NamedArray> {
    let flat = network.layout().initial(1).unwrap();
    let params = Params::frozen(network.layout().clone(), &flat).unwrap();
    let array = |(name, t): (&str, &fewstep_torch::Tensor)| {
        let shape: Vec<usize> = t.size().iter().map(|&d| d as usize).collect();
        NamedArray::from_f32(
            &format!("{prefix}{name}"),
            &shape,
            &Vec::<f32>::try_from(t.reshape([-1])).unwrap(),
        )
        .unwrap()
    };
    params.named().map(array).collect()
}

pub fn checkpoint(arrays: Vec<NamedArray>, class: Option<&str>, options: Value) -> Checkpoint {
    let kind = if class.is_some() { Format::EdmPickle } else { Format::TorchZip };
    Checkpoint { kind, class_name: class.map(str::to_owned), arrays, options }
}

/// A file of the reference collection.
pub fn golden(name: &str) -> Checkpoint {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/import");
    read_checkpoint(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

/// A file of denoising_diffusion_pytorch, in the folder of [`golden`].
pub const TRAINER: &str = "../teachers/lucidrains/pred_v_sigmoid/model-1.pt";

/// One file of each kind.
pub const FILES: [&str; 3] = ["ddpm_unet_zip.pt", "ddpm_unet_flax.msgpack", "edm_ncsnpp.pkl"];

/// A network of guided-diffusion; its own tests are in `guided`.
pub const GUIDED: &str = "../teachers/guided/uncond_updown_sigma/model.pt";

/// The hints that the files of [`FILES`], [`GUIDED`] and [`TRAINER`] need.
pub fn hints(file: &str) -> Hints {
    let one = Hints { resolution: Some(16), prediction: Some(Prediction::X0), ..Hints::default() };
    match file {
        "ddpm_unet_zip.pt" => Hints { heads: Some(Heads::Count(1)), ..one },
        "ddpm_unet_flax.msgpack" => one,
        TRAINER => Hints { prediction: None, ..one },
        GUIDED => Hints {
            resolution: Some(16),
            heads: Some(Heads::Width(16)),
            attention_order: Some(AttentionOrder::Legacy),
            trained_as: Some(TrainedAs::DdpmLinear { timesteps: 1000 }),
            ..Hints::default()
        },
        _ => Hints::default(),
    }
}

/// The number of parameters, or the error's message.
pub fn import(checkpoint: &Checkpoint, hints: &Hints) -> Result<usize, String> {
    let found = recognise(checkpoint, hints).map_err(|e| e.to_string())?;
    let network = found.config.build().map_err(|e| e.to_string())?;
    let flat = found.parameters(network.as_ref()).map_err(|e| e.to_string())?;
    Ok(flat.numel())
}
