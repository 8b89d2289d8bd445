//! The step functions on a batch of CIFAR-sized states.
#![allow(missing_docs, clippy::expect_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use fewstep_models::{Levels, X0Clip};
use fewstep_samplers::{Step, diffuse};
use fewstep_schedules::Schedule;
use fewstep_torch::{Device, Kind, Tensor};

fn steps(c: &mut Criterion) {
    tch::set_num_threads(1);
    let x = Tensor::ones([64, 3, 32, 32], (Kind::Double, Device::Cpu));
    let schedule = Schedule::default();
    let (t, s) = (Levels::uniform(schedule.at(0.8), 64), Levels::uniform(schedule.at(0.4), 64));
    c.bench_function("step/coefficients_b64", |b| b.iter(|| Step::between(&t, &s, Device::Cpu)));
    let step = Step::between(&t, &s, Device::Cpu).expect("t is noisier");
    c.bench_function("step/ddim_b64", |b| b.iter(|| step.apply(&x, &x)));
    c.bench_function("step/inverse_b64", |b| b.iter(|| step.x0_that_lands_on(&x, &x)));
    c.bench_function("step/diffuse_b64", |b| b.iter(|| diffuse(&x, &x, &t)));
    c.bench_function("step/clip_b64", |b| b.iter(|| X0Clip::UnitRange.apply(&x)));
}

criterion_group!(benches, steps);
criterion_main!(benches);
