//! Contents of a batch, and that they depend only on the sample numbers.
#![allow(clippy::unwrap_used)]

use fewstep_data::{Dataset, ImageShape, InMemory, Order, digits};
use fewstep_distill::Batch;
use fewstep_random::{Draws, Key, Stream};
use fewstep_torch::{Device, Kind, Tensor};
use fewstep_train::{DrawConfig, Error, Result, make_batch};

const SHAPE: ImageShape = ImageShape { c: 2, h: 2, w: 3 };
const DRAWS: DrawConfig = DrawConfig { seed: 4, stage: 2, flip: true };

/// A data set whose image `i` has the values `12 i, 12 i + 1, ..`, which identify their origin.
fn counting(n: usize) -> InMemory {
    let labels = (0..n as u32).collect();
    InMemory::new("counting", SHAPE, (0..n * 12).map(|i| i as u8).collect(), Some(labels), n).unwrap()
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten(0, -1).to_kind(Kind::Float).try_into().unwrap()
}

fn make(dataset: &dyn Dataset, draws: DrawConfig, first: u64, n: usize) -> Result<Batch> {
    make_batch(dataset, &draws.order(dataset)?, &draws, first, n)
}

/// All values of a batch, for bitwise comparison.
fn bits(batch: &Batch) -> (Vec<u64>, Vec<u32>, Vec<u32>, Vec<i64>) {
    let bits = |t| floats(t).into_iter().map(f32::to_bits).collect();
    let labels = batch.labels.as_ref().map_or(Vec::new(), |l| l.try_into().unwrap());
    (batch.draws.ns().to_vec(), bits(&batch.x0), bits(&batch.noise), labels)
}

#[test]
fn shapes_and_kinds_are_as_documented() {
    let batch = make(&counting(7), DRAWS, 20, 5).unwrap();
    assert_eq!((batch.len(), &batch.draws), (5, &Draws::new(4, 2, vec![20, 21, 22, 23, 24])));
    assert_eq!((batch.x0.size(), batch.x0.kind()), (vec![5, 2, 2, 3], Kind::Float));
    assert_eq!((batch.noise.size(), batch.noise.kind()), (vec![5, 2, 2, 3], Kind::Float));
    let labels = batch.labels.unwrap();
    assert_eq!((labels.size(), labels.kind()), (vec![5], Kind::Int64));
    let unlabelled = InMemory::new("x", SHAPE, vec![0; 24], None, 0).unwrap();
    assert!(make(&unlabelled, DRAWS, 0, 3).unwrap().labels.is_none());
}

#[test]
fn bytes_become_minus_one_to_one() {
    let pixels = InMemory::new("ends", ImageShape { c: 1, h: 1, w: 3 }, vec![0, 255, 51], None, 0).unwrap();
    let got = floats(&make(&pixels, DrawConfig { flip: false, ..DRAWS }, 0, 1).unwrap().x0);
    assert_eq!(got[..2], [-1.0, 1.0]);
    assert!((got[2] + 0.6).abs() < 1e-6, "51 / 127.5 - 1, got {}", got[2]);
}

#[test]
fn a_sample_has_the_image_label_and_noise_of_its_number() {
    let (data, draws) = (counting(7), DrawConfig { flip: false, ..DRAWS });
    let batch = make(&data, draws, 3, 11).unwrap();
    let order = Order::new(draws.seed, draws.stage, 7).unwrap();
    let labels: Vec<i64> = (&batch.labels.unwrap()).try_into().unwrap();
    let firsts: Vec<i64> =
        floats(&batch.x0).chunks(12).map(|x| ((x[0] + 1.0) * 127.5).round() as i64).collect();
    for (k, n) in (3..14).enumerate() {
        let image = order.index(n) as i64;
        assert_eq!((labels[k], firsts[k]), (image, 12 * image));
    }
    let noise = Key::new(draws.seed, draws.stage, Stream::Noise).normals(batch.draws.ns(), 12);
    assert_eq!(floats(&batch.noise), noise);
}

#[test]
fn half_of_the_images_are_mirrored() {
    let data = counting(20);
    let plain = floats(&make(&data, DrawConfig { flip: false, ..DRAWS }, 0, 1000).unwrap().x0);
    let flipped = floats(&make(&data, DRAWS, 0, 1000).unwrap().x0);
    let mirrored = |x: &[f32]| x.chunks(3).flat_map(|row| row.iter().rev().copied()).collect::<Vec<f32>>();
    let mut n_mirrored = 0;
    for (plain, flipped) in plain.chunks(12).zip(flipped.chunks(12)) {
        if plain != flipped {
            assert_eq!(flipped, mirrored(plain));
            n_mirrored += 1;
        }
    }
    // 500 expected, with a standard deviation of 15.8; five of them.
    assert!((421..=579).contains(&n_mirrored), "{n_mirrored}");
}

#[test]
fn how_the_samples_are_cut_into_batches_does_not_matter() {
    let data = digits().unwrap();
    let whole = bits(&make(&data, DRAWS, 1790, 24).unwrap());
    let order = DRAWS.order(&data).unwrap();
    let mut parts = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (first, n) in [(1790, 5), (1795, 1), (1796, 18)] {
        let (ns, x0, noise, labels) = bits(&make_batch(&data, &order, &DRAWS, first, n).unwrap());
        parts.0.extend(ns);
        parts.1.extend(x0);
        parts.2.extend(noise);
        parts.3.extend(labels);
    }
    assert_eq!(whole, parts);
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(whole, one_thread.install(|| bits(&make(&data, DRAWS, 1790, 24).unwrap())));
}

#[test]
fn a_batch_is_computed_with_in_f64_and_cut_with_its_draws() {
    let batch = make(&counting(7), DRAWS, 20, 5).unwrap();
    let whole = batch.on(Device::Cpu).unwrap();
    assert_eq!((whole.x0.kind(), whole.noise.kind()), (Kind::Double, Kind::Double));
    assert_eq!(bits(&whole), bits(&batch), "f32 values and labels are kept");
    let part = whole.slice(1..4).unwrap();
    assert_eq!(bits(&part), bits(&make(&counting(7), DRAWS, 21, 3).unwrap()));
    assert!(whole.slice(3..6).is_err());
}

#[test]
fn seed_and_stage_decide_the_draws() {
    let data = digits().unwrap();
    let base = bits(&make(&data, DRAWS, 0, 8).unwrap());
    for other in [DrawConfig { seed: 5, ..DRAWS }, DrawConfig { stage: 3, ..DRAWS }] {
        let other = bits(&make(&data, other, 0, 8).unwrap());
        assert!(other.1 != base.1 && other.2 != base.2);
    }
}

#[test]
fn invalid_batches_are_errors() {
    let data = counting(7);
    let fails = |first, n| make(&data, DRAWS, first, n).unwrap_err().to_string();
    assert!(fails(0, 0).contains("one sample at least"));
    assert!(fails(u64::MAX - 3, 4).contains("below 2^64"), "the end itself must be a number");
    assert!(make(&data, DRAWS, u64::MAX - 4, 4).is_ok());
    assert!(fails(0, usize::MAX).contains("fits in memory"));
    assert!(fails(0, 1 << 58).contains("fits in memory"));
    let order = Order::new(0, 0, 8).unwrap();
    let error = make_batch(&data, &order, &DRAWS, 0, 1).unwrap_err();
    assert!(matches!(error, Error::Data(fewstep_data::Error::Invalid { .. })), "{error}");
}
