//! Computes FID, KID, precision and recall between the images of two npz files (`images [n, 3, h, w]`, u8):
//!
//! ```text
//! fid WEIGHTS GENERATED.npz REFERENCE.npz [pytorch-fid|tf] [STATISTICS.npz]
//! ```
//!
//! Prints each score as JSON, and saves the reference's statistics if a file is given. Images are pushed in batches, as
//! a sampler would produce them.
#![allow(clippy::print_stdout, reason = "printing is the program's purpose")]

use fewstep_eval::{Extractor, ImageFeatures, Inception, KernelSubsets, Protocol, ReferenceStats};
use fewstep_formats::read_npz;
use std::error::Error;
use std::path::Path;
use tch::{Device, Kind, Tensor};

fn main() -> Result<(), Box<dyn Error>> {
    fewstep_torch::prepare()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [weights, generated, reference, rest @ ..] = arguments.as_slice() else {
        return Err("fid WEIGHTS GENERATED.npz REFERENCE.npz [pytorch-fid|tf] [STATISTICS.npz]".into());
    };
    let protocol = rest.first().map_or(Ok(Protocol::PytorchFid), |name| name.parse())?;
    let network = Extractor::from(Inception::open(Path::new(weights), protocol, Device::Cpu)?);
    let (generated, reference) = (features(&network, generated)?, features(&network, reference)?);

    let stats = ReferenceStats::of(&reference.moments()?, "images of an npz file")?;
    if let Some(path) = rest.get(1) {
        stats.save(Path::new(path))?;
    }
    let fid = generated.moments()?.frechet_against(&stats)?;
    let size = generated.count().min(reference.count()).min(1000);
    let kid = generated.kernel(&reference, &KernelSubsets { size, ..KernelSubsets::default() })?;
    let (precision, recall) = generated.precision_recall(&reference, 3)?;
    for score in [fid, kid, precision, recall] {
        println!("{}: {}", score.metric(), serde_json::to_string(&score)?);
    }
    Ok(())
}

fn features(network: &Extractor, path: &str) -> Result<ImageFeatures, Box<dyn Error>> {
    let file = read_npz(&std::fs::read(path)?)?;
    let array = file.get("images").ok_or("no `images`")?;
    let shape: Vec<i64> = array.shape.iter().map(|n| *n as i64).collect();
    let images = Tensor::f_from_data_size(&array.data, &shape, Kind::Uint8)?;
    let mut features = ImageFeatures::new(network);
    for batch in images.f_split(64, 0)? {
        features.push(network, &batch)?;
    }
    Ok(features)
}
