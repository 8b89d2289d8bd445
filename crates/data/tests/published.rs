//! Tests on the published data sets. `FEWSTEP_DATA` names a folder with `mnist`, `fashion-mnist` and `cifar10`;
//! `cargo test --release -p fewstep-data --test published -- --ignored` reads them.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use fewstep_data::{Dataset, InMemory, Split, open_cifar10, open_fashion_mnist, open_mnist};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("FEWSTEP_DATA").unwrap()).join(name)
}

/// Number of images per class, and the mean pixel as a fraction of 255.
fn facts(dataset: &InMemory) -> (Vec<usize>, f64) {
    let mut counts = vec![0; dataset.n_classes()];
    (0..dataset.len()).for_each(|i| counts[dataset.label(i).unwrap()] += 1);
    let sum: u64 = dataset.pixels().iter().map(|&v| u64::from(v)).sum();
    (counts, sum as f64 / dataset.pixels().len() as f64 / 255.0)
}

#[test]
#[ignore = "needs the data sets in FEWSTEP_DATA"]
fn mnist() {
    let (counts, mean) = facts(&open_mnist(&folder("mnist"), Split::Train, true).unwrap());
    assert_eq!(counts, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert!((mean - 0.1307).abs() < 1e-4, "{mean}");
    let (counts, _) = facts(&open_mnist(&folder("mnist"), Split::Test, true).unwrap());
    assert_eq!(counts, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
}

#[test]
#[ignore = "needs the data sets in FEWSTEP_DATA"]
fn fashion_mnist() {
    let (counts, mean) = facts(&open_fashion_mnist(&folder("fashion-mnist"), Split::Train, true).unwrap());
    assert_eq!(counts, [6000; 10]);
    assert!((mean - 0.2860).abs() < 1e-4, "{mean}");
    let (counts, _) = facts(&open_fashion_mnist(&folder("fashion-mnist"), Split::Test, true).unwrap());
    assert_eq!(counts, [1000; 10]);
}

#[test]
#[ignore = "needs the data sets in FEWSTEP_DATA"]
fn cifar10() {
    let train = open_cifar10(&folder("cifar10"), Split::Train, true).unwrap();
    let (counts, _) = facts(&train);
    assert_eq!(counts, [5000; 10]);
    // The channel means commonly used for normalisation: 0.4914, 0.4822, 0.4465.
    let mut sums = [0u64; 3];
    train
        .pixels()
        .chunks(1024)
        .enumerate()
        .for_each(|(i, p)| sums[i % 3] += p.iter().map(|&v| u64::from(v)).sum::<u64>());
    let means = sums.map(|s| s as f64 / 50_000.0 / 1024.0 / 255.0);
    for (mean, want) in means.into_iter().zip([0.4914, 0.4822, 0.4465]) {
        assert!((mean - want).abs() < 1e-4, "{means:?}");
    }
    let (counts, _) = facts(&open_cifar10(&folder("cifar10"), Split::Test, true).unwrap());
    assert_eq!(counts, [1000; 10]);
}
