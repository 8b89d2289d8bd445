//! The training step: independent of how it is cut and spread, and without effect when something is not finite.
#![allow(missing_docs, clippy::unwrap_used)]

mod setting;

use fewstep_torch::{AdamConfig, Device, GradientRule, Tensor};
use fewstep_train::{DropoutDraws, StageStart, StepReport, TrainState, train_step};
use setting::Setting;

fn step(s: &Setting, state: &mut TrainState, threads: usize, micro_batch: usize) -> StepReport {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let options = fewstep_train::StepOptions { micro_batch, ..s.options };
    let (model, tract, rates) = (&s.model, &s.tract, &s.rates);
    let (batch, draws) = (s.batch(10), s.draws(10));
    // Tensors are handed over, not shared: the pool takes what it works on and gives it back.
    let mut moved = Moved(state);
    pool.install(move || {
        let moved = &mut moved;
        train_step(model, tract, moved.0, &batch, &draws, rates, &options).unwrap()
    })
}

struct Moved<'a>(&'a mut TrainState);

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let s = Setting::new(8, 3);
    let (mut one, mut four) = (s.state(), s.state());
    for _ in 0..3 {
        let (a, b) = (step(&s, &mut one, 1, 3), step(&s, &mut four, 4, 3));
        assert_eq!(a.loss, b.loss);
        assert_eq!(a.gradient, b.gradient);
    }
    assert_eq!(one.student, four.student);
    assert_eq!(one.inference.flat, four.inference.flat);
}

#[test]
fn micro_batches_change_rounding_only() {
    let s = Setting::new(8, 3);
    let (a, b) = (step(&s, &mut s.state(), 1, 10), step(&s, &mut s.state(), 1, 3));
    assert!((a.loss / b.loss - 1.0).abs() < 1e-5, "{} {}", a.loss, b.loss);
    assert!((a.grad_norm / b.grad_norm - 1.0).abs() < 1e-4);
    let (ga, gb) = (a.gradient.unwrap(), b.gradient.unwrap());
    let error = (&ga - &gb).norm().double_value(&[]) / ga.norm().double_value(&[]);
    assert!(error < 1e-4, "{error}");
}

#[test]
fn dropout_is_the_samples_own_however_the_batch_is_cut() {
    let s = Setting::new(8, 3);
    let ns: Vec<u64> = (40..50).collect();
    let draws = DropoutDraws::draw(0.3, 1, 0, &ns).unwrap();
    assert!(DropoutDraws::draw(0.0, 1, 0, &ns).is_none());
    let step = |micro_batch, dropout| {
        let options = fewstep_train::StepOptions { micro_batch, dropout, ..s.options };
        let (batch, transitions) = (s.batch(10), s.draws(10));
        let mut state = s.state();
        // Convolutions that start as zero would hide what was dropped before them.
        state.student = &state.student + 0.01;
        train_step(&s.model, &s.tract, &mut state, &batch, &transitions, &s.rates, &options).unwrap()
    };
    let (a, b, without) = (step(10, Some(&draws)), step(3, Some(&draws)), step(10, None));
    assert!((a.loss / b.loss - 1.0).abs() < 1e-5, "{} {}", a.loss, b.loss);
    let (ga, gb) = (a.gradient.unwrap(), b.gradient.unwrap());
    let error = (&ga - &gb).norm().double_value(&[]) / ga.norm().double_value(&[]);
    assert!(error < 1e-4, "{error}");
    let moved = (&ga - without.gradient.unwrap()).norm().double_value(&[]) / ga.norm().double_value(&[]);
    assert!(moved > 1e-2, "{moved}");
    let few = DropoutDraws { seeds: vec![1], ..draws };
    let options = fewstep_train::StepOptions { dropout: Some(&few), ..s.options };
    let short =
        train_step(&s.model, &s.tract, &mut s.state(), &s.batch(10), &s.draws(10), &s.rates, &options);
    assert!(short.is_err());
}

#[test]
fn a_step_moves_the_student_and_both_averages() {
    let s = Setting::new(8, 16);
    let mut state = s.state();
    let before = state.student.copy();
    let report = step(&s, &mut state, 1, 16);
    assert!(report.applied && report.loss > 0.0 && report.grad_norm > 0.0);
    assert_ne!(state.student, before);
    assert_eq!(state.inference.flat, state.student, "the first update of a corrected average copies");
    assert_eq!(state.teacher.as_ref().unwrap(), &before, "the teacher stays");
    step(&s, &mut state, 1, 16);
    assert_ne!(state.inference.flat, state.student);
    assert_eq!((state.adam.steps, state.inference.updates), (2, 2));
}

#[test]
fn values_that_are_not_finite_are_reported_and_change_nothing() {
    let s = Setting::new(8, 4);
    let mut state = s.state();
    let before = state.student.copy();
    let batch = s.batch(10);
    let _ = batch.x0.get(7).fill_(f64::NAN);
    let report =
        train_step(&s.model, &s.tract, &mut state, &batch, &s.draws(10), &s.rates, &s.options).unwrap();
    assert_eq!(report.non_finite, [7]);
    assert!(!report.applied);
    assert_eq!(state.student, before);
    assert_eq!((state.adam.steps, state.inference.updates), (0, 0));
    // EDM's rule mends gradients, never losses.
    let options =
        fewstep_train::StepOptions { gradient: GradientRule::ReplaceNonFinite { limit: 1e5 }, ..s.options };
    let report =
        train_step(&s.model, &s.tract, &mut state, &batch, &s.draws(10), &s.rates, &options).unwrap();
    assert!(!report.applied);
}

#[test]
fn draws_of_another_number_or_objective_are_refused() {
    let s = Setting::new(8, 4);
    let mut state = s.state();
    let run = |state: &mut TrainState, objective, n| {
        train_step(&s.model, objective, state, &s.batch(10), &s.draws(n), &s.rates, &s.options)
    };
    assert!(run(&mut state, &s.tract, 9).unwrap_err().to_string().contains("9 draws"));
    assert!(run(&mut state, &s.denoising, 10).is_err());
    state.teacher = None;
    assert!(run(&mut state, &s.tract, 10).unwrap_err().to_string().contains("no teacher"));
}

#[test]
fn phase_changes_follow_the_plan() {
    let s = Setting::new(8, 16);
    let mut state = s.state();
    for _ in 0..3 {
        step(&s, &mut state, 1, 16);
    }
    let (student, average) = (state.student.copy(), state.inference.flat.copy());
    assert_ne!(student, average);
    state.enter_stage(StageStart::CarryOn, true, AdamConfig::default()).unwrap();
    assert_eq!(state.teacher.as_ref().unwrap(), &average, "the teacher becomes the inference average");
    assert_eq!(state.student, student, "the student carries on");
    assert_eq!((state.adam.steps, state.inference.updates), (3, 3));
    state.nimg = 6;
    state.enter_stage(StageStart::FromTeacher, true, AdamConfig::default()).unwrap();
    assert_eq!(state.student, student, "inside a stage nothing is taken over");
    state.nimg = 0;
    state.enter_stage(StageStart::FromTeacher, true, AdamConfig::default()).unwrap();
    assert_eq!(state.student, average, "the student restarts at the teacher");
    assert_eq!((state.adam.steps, state.inference.updates), (0, 0));
    let zero = Tensor::zeros_like(&state.adam.m);
    assert_eq!(state.adam.m, zero);
    assert!(matches!(state.student.device(), Device::Cpu));
}
