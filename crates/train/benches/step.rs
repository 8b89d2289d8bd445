//! One TRACT step of the digits' network on all cores.
#![allow(missing_docs, clippy::expect_used)]

#[path = "../tests/setting/mod.rs"]
mod setting;

use criterion::{Criterion, criterion_group, criterion_main};
use fewstep_train::train_step;

fn step(c: &mut Criterion) {
    tch::set_num_threads(1);
    let s = setting::Setting::new(32, 64);
    let (mut state, batch) = (s.state(), s.batch(128));
    let mut run = || train_step(&s.settings(), &mut state, &batch);
    c.bench_function("train/tract_step_b128", |b| b.iter(|| run().expect("step")));
}

criterion_group!(benches, step);
criterion_main!(benches);
