use super::*;
use crate::feature_space::ImageShape;
use crate::metrics::kernel::{KernelSubsets, kernel_distance};
use crate::reference::ReferenceStats;
use crate::resample::{Bootstrap, Extrapolation};
use crate::test_data::normals;

fn pixels(channels: u32) -> Extractor {
    Extractor::pixels(ImageShape { channels, height: 1, width: 2 }).unwrap()
}

fn images(seed: u64, n: usize, offset: f64) -> Tensor {
    (normals(seed, n, 2) * 30.0 + 128.0 + offset).clamp(0.0, 255.0).to_kind(Kind::Uint8).view([-1, 1, 1, 2])
}

fn features(images: &Tensor, batch: i64) -> ImageFeatures {
    let extractor = pixels(1);
    let mut features = ImageFeatures::new(&extractor);
    images.split(batch, 0).iter().for_each(|part| features.push(&extractor, part).unwrap());
    features
}

#[test]
fn batches_and_shards_are_the_whole() {
    let images = images(1, 57, 0.0);
    let whole = features(&images, 57);
    let mut merged = features(&images.narrow(0, 0, 20), 7);
    merged.merge(features(&images.narrow(0, 20, 37), 100)).unwrap();
    assert_eq!((merged.count(), whole.count()), (57, 57));
    assert_eq!(merged.rows().unwrap(), whole.rows().unwrap());
    assert_eq!(merged.reference("all").unwrap(), whole.reference("all").unwrap());
    let (a, b) = (merged.moments().unwrap(), whole.moments().unwrap());
    let off = a.moments().covariance().unwrap() - b.moments().covariance().unwrap();
    assert!(off.iter().all(|v| v.abs() < 1e-15), "{off}");
    assert_eq!(ImageFeatures::new(&pixels(1)).rows().unwrap().size(), [0, 2]);
    assert!(matches!(merged.require(58), Err(Error::TooFew { expected: 58, got: 57, .. })));
}

#[test]
fn scores_say_how_they_were_made() {
    let (generated, reference) = (features(&images(2, 200, 20.0), 64), features(&images(3, 150, 0.0), 64));
    let stored = ReferenceStats::of(&reference.moments().unwrap(), "normals").unwrap();
    let subsets = KernelSubsets { count: 10, size: 150, seed: 4 };
    let kernel = generated.kernel(&reference, &subsets).unwrap();
    assert_eq!((kernel.metric().name(), kernel.n_generated()), ("kernel[pixels]", 200));
    assert!(matches!(kernel.estimate(), Estimate::Subsets { count: 10, size: 150, seed: 4, .. }));
    let whole = kernel_distance(&generated.rows().unwrap(), &reference.rows().unwrap()).unwrap();
    assert!((kernel.value() / whole - 1.0).abs() < 0.2, "{} {whole}", kernel.value());

    let (precision, recall) = generated.precision_recall(&reference, 3).unwrap();
    assert_eq!((precision.metric().name(), recall.metric().name()), ("precision[pixels]", "recall[pixels]"));
    assert!(precision.value() > 0.3 && precision.value() <= 1.0);

    let plain = generated.moments().unwrap().frechet_against(&stored).unwrap();
    let interval = generated.frechet_interval(&stored, &Bootstrap::default()).unwrap();
    assert_eq!(interval.metric(), plain.metric());
    assert!((interval.value() - plain.value()).abs() < 1e-12);
    let Estimate::Bootstrap { low, high, .. } = *interval.estimate() else { panic!("{interval:?}") };
    assert!(low < interval.value() && interval.value() < high);

    let settings = Extrapolation { points: 5, smallest: 50, seed: 0 };
    let infinity = generated.frechet_infinity(&stored, &settings).unwrap();
    assert_eq!(infinity.metric().name(), "frechet-infinity[pixels]");
    assert!((infinity.value() / plain.value() - 1.0).abs() < 0.3);
}

#[test]
fn files_round_trip_and_damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.safetensors");
    let saved = features(&images(5, 9, 0.0), 4);
    saved.save(&path).unwrap();
    let back = ImageFeatures::open(&path).unwrap();
    assert_eq!((back.rows().unwrap(), back.space()), (saved.rows().unwrap(), saved.space()));
    assert_eq!(back.images, saved.images);
    let rewrite = |rows: Tensor, card: Option<&str>| {
        fewstep_torch::save(&path, &[(ROWS.to_owned(), rows)], card).unwrap();
        ImageFeatures::open(&path)
    };
    let card = r#"{"space":{"pixels":{"channels":1,"height":1,"width":2}},"count":9,"n_grey":0}"#;
    assert!(rewrite(saved.rows().unwrap(), Some(card)).is_ok());
    assert!(rewrite(saved.rows().unwrap(), None).unwrap_err().to_string().contains("no card"));
    assert!(rewrite(saved.rows().unwrap().narrow(0, 0, 8), Some(card)).is_err());
    assert!(matches!(
        rewrite(saved.rows().unwrap() / 0.0, Some(card)),
        Err(Error::NonFinite { count: 18, .. })
    ));
    assert!(matches!(rewrite(saved.rows().unwrap(), Some("{}")), Err(Error::Json { .. })));
    assert!(matches!(ImageFeatures::open(&folder.path().join("none")), Err(Error::Layer { .. })));
}

#[test]
fn spaces_do_not_mix() {
    let mut a = features(&images(6, 9, 0.0), 9);
    let b = ImageFeatures::new(&pixels(2));
    assert!(matches!(a.kernel(&b, &KernelSubsets::default()), Err(Error::Space { .. })));
    assert!(matches!(a.precision_recall(&b, 3), Err(Error::Space { .. })));
    assert!(matches!(a.push(&pixels(2), &images(6, 9, 0.0)), Err(Error::Space { .. })));
    assert!(matches!(a.merge(b), Err(Error::Space { .. })));
    assert_eq!(a.count(), 9);
}
