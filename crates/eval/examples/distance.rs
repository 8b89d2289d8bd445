//! Computes the FID between two files of statistics (`mu`, `sigma`), and measures the time:
//!
//! ```text
//! distance A.npz B.npz [THREADS]
//! ```
//!
//! The last line is JSON: distance, threads, seconds. `benches/peer.py distance` does the same with the package
//! pytorch-fid.
#![allow(clippy::print_stdout, reason = "printing is the program's purpose")]

use fewstep_eval::{FeatureSpace, PoolThree, Protocol, ReferenceStats, StatedOrigin, frechet_distance};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    fewstep_torch::prepare()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [a, b, rest @ ..] = arguments.as_slice() else {
        return Err("distance A.npz B.npz [THREADS]".into());
    };
    let threads = rest.first().map_or(Ok(1), |n| n.parse())?;
    tch::set_num_threads(threads);
    let open = |path: &String| {
        let space = FeatureSpace::PoolThree(PoolThree::fid(Protocol::PytorchFid));
        ReferenceStats::import(
            Path::new(path),
            StatedOrigin { space, count: None, description: path.clone() },
        )
    };
    let (a, b) = (open(a)?, open(b)?);
    let start = Instant::now();
    let distance = frechet_distance(a.gaussian(), b.gaussian())?;
    let seconds = start.elapsed().as_secs_f64();
    println!(r#"{{"distance": {distance}, "threads": {threads}, "seconds": {seconds}}}"#);
    Ok(())
}
