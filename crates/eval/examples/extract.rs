//! Computes Inception features of the images in an npz file, and measures the time:
//!
//! ```text
//! extract WEIGHTS IMAGES.npz OUT.npz [pytorch-fid|tf] [THREADS]
//! ```
//!
//! `IMAGES.npz` holds `images [n, 3, h, w]` in u8; `OUT.npz` gets `features [n, 2048]` in f32. The last line is
//! JSON: images, threads, seconds. `benches/peer.py extract` does the same with the package pytorch-fid.
#![allow(clippy::print_stdout, reason = "printing is the program's purpose")]

use fewstep_eval::{Extractor, Inception, Protocol};
use fewstep_formats::{NamedArray, read_npz, write_npz};
use std::error::Error;
use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Images per call: enough work for every thread of a small machine.
const BATCH: i64 = 64;

fn main() -> Result<(), Box<dyn Error>> {
    fewstep_torch::prepare()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [weights, images, out, rest @ ..] = arguments.as_slice() else {
        return Err("extract WEIGHTS IMAGES.npz OUT.npz [pytorch-fid|tf] [THREADS]".into());
    };
    let protocol = rest.first().map_or(Ok(Protocol::PytorchFid), |name| name.parse())?;
    let threads = rest.get(1).map_or(Ok(1), |n| n.parse())?;
    let network = Extractor::from(Inception::open(Path::new(weights), protocol, Device::Cpu)?);
    let file = read_npz(&std::fs::read(images)?)?;
    let array = file.get("images").ok_or("no `images`")?;
    let shape: Vec<i64> = array.shape.iter().map(|n| *n as i64).collect();
    let images = Tensor::f_from_data_size(&array.data, &shape, Kind::Uint8)?;

    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let _warm = network.features(&images.f_narrow(0, 0, shape[0].min(4 * threads as i64))?)?;
    let start = Instant::now();
    let parts: Result<Vec<Tensor>, _> =
        images.f_split(BATCH, 0)?.iter().map(|part| network.features(part)).collect();
    let features = Tensor::f_cat(&parts?, 0)?;
    let seconds = start.elapsed().as_secs_f64();

    let mut values = vec![0f32; features.numel()];
    let n = values.len();
    features.f_copy_data(&mut values, n)?;
    let features = NamedArray::from_f32("features", &[shape[0] as usize, 2048], &values)?;
    write_npz([&features], std::fs::File::create(out)?)?;
    println!(r#"{{"images": {}, "threads": {threads}, "seconds": {seconds}}}"#, shape[0]);
    Ok(())
}
