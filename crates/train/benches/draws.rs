//! Cost of a batch: the noise alone, the order alone, and whole batches.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fewstep_data::{Dataset, ImageShape, InMemory, Order, digits};
use fewstep_random::{Key, Stream};
use fewstep_train::{DrawConfig, make_batch};

const CIFAR: ImageShape = ImageShape { c: 3, h: 32, w: 32 };

/// A data set as large as CIFAR-10's training split, with arbitrary pixels.
fn cifar_sized() -> InMemory {
    let pixels = (0..50_000 * CIFAR.n_values()).map(|i| (i * 31) as u8).collect();
    let labels = (0..50_000).map(|i| i % 10).collect();
    InMemory::new("synthetic", CIFAR, pixels, Some(labels), 10).unwrap()
}

fn noise(c: &mut Criterion) {
    let ns: Vec<u64> = (0..256).collect();
    let key = Key::new(0, 0, Stream::Noise);
    let mut group = c.benchmark_group("noise");
    group.throughput(Throughput::Elements((ns.len() * CIFAR.n_values()) as u64));
    group.bench_function("256x3x32x32", |b| b.iter(|| key.normals(black_box(&ns), CIFAR.n_values())));
    group.finish();
}

fn order(c: &mut Criterion) {
    let mut group = c.benchmark_group("order");
    group.throughput(Throughput::Elements(50_000));
    group.bench_function("epoch of 50000", |b| {
        b.iter(|| Order::new(0, 0, 50_000).unwrap().index(black_box(0)))
    });
    group.throughput(Throughput::Elements(256));
    let order = Order::new(0, 0, 50_000).unwrap();
    let ns: Vec<u64> = (0..256).collect();
    group.bench_function("256 within an epoch", |b| b.iter(|| order.indices(black_box(&ns))));
    group.finish();
}

fn batch(c: &mut Criterion) {
    let mut group = c.benchmark_group("make_batch");
    let draws = DrawConfig { seed: 0, stage: 0, flip: true };
    let sets: [(&str, Box<dyn Dataset>); 2] =
        [("digits", Box::new(digits().unwrap())), ("cifar-sized", Box::new(cifar_sized()))];
    for (name, dataset) in sets {
        let order = draws.order(&*dataset).unwrap();
        group.throughput(Throughput::Elements(256));
        group.bench_function(format!("{name}, 256"), |b| {
            b.iter(|| make_batch(&*dataset, &order, &draws, black_box(512), 256).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, noise, order, batch);
criterion_main!(benches);
