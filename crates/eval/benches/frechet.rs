//! Time of a Frechet distance from covariances, and of streaming features into moments.
#![allow(clippy::unwrap_used, reason = "a benchmark has no caller to return an error to")]
#![allow(missing_docs, reason = "criterion's macros make an undocumented function")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use fewstep_eval::{Gaussian, Moments, frechet_distance};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::hint::black_box;
use tch::{Device, Tensor};

fn normals(seed: u64, n: usize, d: usize) -> Tensor {
    let rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f64> = StandardNormal.sample_iter(rng).take(n * d).collect();
    Tensor::f_from_slice(&values).and_then(|t| t.f_view([n as i64, d as i64])).unwrap()
}

fn fitted(rows: &Tensor) -> Gaussian {
    let mut moments = Moments::new(rows.size()[1] as usize, Device::Cpu).unwrap();
    moments.push(rows).unwrap();
    moments.gaussian().unwrap()
}

fn distance(c: &mut Criterion) {
    let mut group = c.benchmark_group("frechet_distance");
    group.sample_size(10);
    for d in [64, 512, 2048] {
        let reference = fitted(&normals(1, 2 * d, d));
        for (rank, n) in [("full rank", 2 * d), ("rank deficient", d / 2)] {
            let generated = fitted(&normals(2, n, d));
            group.bench_with_input(BenchmarkId::new(rank, d), &generated, |b, g| {
                b.iter(|| frechet_distance(black_box(g), black_box(&reference)).unwrap());
            });
        }
    }
    group.finish();
}

fn push(c: &mut Criterion) {
    let rows = normals(3, 2000, 64);
    c.bench_function("moments push 2000x64", |b| {
        let mut moments = Moments::new(64, Device::Cpu).unwrap();
        b.iter(|| moments.push(black_box(&rows)).unwrap());
    });
}

criterion_group!(benches, distance, push);
criterion_main!(benches);
