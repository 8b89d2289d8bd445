//! Cost of the host arithmetic: a grid, a plan, one step's coefficients.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use fewstep_schedules::{DdimStep, PhasePlan, Schedule};

fn steps(c: &mut Criterion) {
    c.bench_function("schedule/grid_1024", |b| b.iter(|| black_box(Schedule::default()).grid(1024)));
    c.bench_function("schedule/plan_1024_32_1", |b| b.iter(|| PhasePlan::equal(black_box(&[1024, 32, 1]))));
    let (t, s) = (Schedule::default().at(0.7), Schedule::default().at(0.3));
    c.bench_function("schedule/ddim_coefficients", |b| b.iter(|| DdimStep::new(black_box(t), black_box(s))));
}

criterion_group!(benches, steps);
criterion_main!(benches);
