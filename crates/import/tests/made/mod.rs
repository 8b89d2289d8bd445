//! Checkpoints made here, of networks and out of files.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // every test file uses its part of this

use std::path::Path;

use fewstep_formats::{Checkpoint, Format, NamedArray, Value, read_checkpoint};
use fewstep_models::Model;
use fewstep_torch::Params;

/// The freshly drawn tensors of a network, their names after `prefix`.
pub fn arrays(model: &Model, prefix: &str) -> Vec<NamedArray> {
    let flat = model.layout().initial(1).unwrap();
    let params = Params::frozen(model.layout().clone(), &flat).unwrap();
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
