//! Properties of a real reference, tested on the 50,000 feature rows of CIFAR-10 that `fewstep reference --dataset
//! cifar10 --rows` writes to the cache.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

use fewstep_eval::{ImageFeatures, Moments, ReferenceStats, frechet_distance};
use std::path::PathBuf;
use tch::{Device, Tensor};

/// Statistics and rows of CIFAR-10's training split, pytorch-fid protocol.
fn stored() -> (PathBuf, PathBuf) {
    let folder = fewstep_files::cache_folder().unwrap().join("references");
    let hint = "run `cargo xtask reference --dataset cifar10 --rows` first";
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}; {hint}", folder.display()));
    let mut found: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.file_name().unwrap().to_string_lossy().starts_with("cifar10_train-"));
    let with = |end: &str| {
        let file = found.iter().find(|p| {
            let name = p.file_name().unwrap().to_string_lossy();
            name.contains("-pytorch-fid-") && name.ends_with(end)
        });
        file.unwrap_or_else(|| panic!("no {end} in {}; {hint}", folder.display())).clone()
    };
    (with(".npz"), with(".rows.safetensors"))
}

fn moments(rows: &Tensor) -> Moments {
    let mut moments = Moments::new(2048, Device::Cpu).unwrap();
    rows.split(256, 0).iter().for_each(|part| moments.push(part).unwrap());
    moments
}

#[test]
#[ignore = "needs the 50,000 rows of CIFAR-10, half an hour of two cores"]
fn training_images_against_themselves_are_at_zero_and_halves_merge() {
    fewstep_torch::prepare().unwrap();
    let (stats, rows) = stored();
    let (stats, features) = (ReferenceStats::open(&stats).unwrap(), ImageFeatures::open(&rows).unwrap());
    assert_eq!((stats.count().number(), features.count()), (Some(50_000), 50_000), "every image is counted");
    let score = features.moments().unwrap().frechet_against(&stats).unwrap();
    println!("{} of the training split against itself: {:e}", score.metric().name(), score.value());
    assert_eq!(score.metric().name(), "FID");
    assert!(score.value().abs() < 1e-6, "{}", score.value());

    let rows = features.rows().unwrap();
    let whole = moments(&rows).gaussian().unwrap();
    // The boundary between the halves is not a boundary of batches.
    let mut merged = moments(&rows.narrow(0, 0, 24_999));
    merged.merge(&moments(&rows.narrow(0, 24_999, 25_001))).unwrap();
    let merged = merged.gaussian().unwrap();
    let largest = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let means = largest(&merged.mean().to_vec(), &whole.mean().to_vec());
    let flat = |g: &fewstep_eval::Gaussian| g.covariance().iter().copied().collect::<Vec<f64>>();
    let covariances = largest(&flat(&merged), &flat(&whole));
    let apart = frechet_distance(&merged, &whole).unwrap();
    println!("halves merged and the whole: means {means:e}, covariances {covariances:e}, distance {apart:e}");
    assert!(means < 1e-9 && covariances < 1e-9 && apart.abs() < 1e-9, "{means:e} {covariances:e} {apart:e}");
}
