//! EMA and Adam on a flat buffer the size of EDM's smaller networks.
#![allow(missing_docs, clippy::expect_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use fewstep_torch::{Adam, AdamConfig, Device, Ema, GradientRule, Kind, Tensor};

fn buffers(c: &mut Criterion) {
    tch::set_num_threads(std::thread::available_parallelism().map_or(1, |n| n.get() as i32));
    let flat = Tensor::zeros([10_000_000], (Kind::Float, Device::Cpu));
    let grad = Tensor::full([10_000_000], 1e-3, (Kind::Float, Device::Cpu));
    let mut ema = Ema::of(&flat).expect("allocate");
    c.bench_function("buffers/ema_10M", |b| b.iter(|| ema.update(&grad, 0.999)));
    let mut adam = Adam::new(AdamConfig::default(), &flat).expect("allocate");
    let mut g = grad.copy();
    c.bench_function("buffers/clip_adam_10M", |b| {
        b.iter(|| {
            let (_, scaling) = GradientRule::default().scaling(&g)?;
            adam.step(&flat, &mut g, 1e-4, scaling, &mut [])
        });
    });
}

criterion_group!(benches, buffers);
criterion_main!(benches);
