//! Time of a kernel distance, and of precision and recall, on rows of pool3's width.
#![allow(clippy::unwrap_used, reason = "a benchmark has no caller to return an error to")]
#![allow(missing_docs, reason = "criterion's macros make an undocumented function")]

use criterion::{Criterion, criterion_group, criterion_main};
use fewstep_eval::{KernelSubsets, kernel_distance_subsets, precision_recall};
use fewstep_random::{Key, Stream};
use std::hint::black_box;
use tch::Tensor;

fn rows(seed: u64, n: usize, d: usize) -> Tensor {
    let samples: Vec<u64> = (0..n as u64).collect();
    let values = Key::new(seed, 0, Stream::Evaluation).normals(&samples, d);
    Tensor::f_from_slice(&values).and_then(|t| t.f_view([n as i64, d as i64])).unwrap()
}

fn metrics(c: &mut Criterion) {
    fewstep_torch::prepare().unwrap();
    let (generated, reference) = (rows(1, 2000, 2048), rows(2, 2000, 2048));
    let mut group = c.benchmark_group("2000 x 2000 of width 2048");
    group.sample_size(10);
    group.bench_function("precision and recall", |b| {
        b.iter(|| precision_recall(black_box(&generated), black_box(&reference), 3).unwrap());
    });
    let subsets = KernelSubsets { count: 4, ..KernelSubsets::default() };
    group.bench_function("kernel distance, 4 subsets of 1000", |b| {
        b.iter(|| kernel_distance_subsets(black_box(&generated), black_box(&reference), &subsets).unwrap());
    });
    group.finish();
}

criterion_group!(benches, metrics);
criterion_main!(benches);
