//! The training step: independent of how it is cut and spread, and without effect when something is not finite.
#![allow(missing_docs, clippy::unwrap_used)]

mod setting;

use fewstep_torch::{AdamConfig, Device, GradientRule, Tensor};
use fewstep_train::{StageStart, StepReport, StepSettings, TrainState, train_step};
use setting::Setting;

fn step(s: &Setting, state: &mut TrainState, threads: usize, micro_batch: usize) -> StepReport {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let (settings, batch) = (StepSettings { micro_batch, ..s.settings() }, s.batch(10));
    // Tensors are handed over, not shared: the pool takes what it works on and gives it back.
    let mut moved = Moved(state);
    pool.install(move || {
        let moved = &mut moved;
        train_step(&settings, moved.0, &batch).unwrap()
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
    let step = |micro_batch, dropout| {
        let settings = StepSettings { micro_batch, dropout, ..s.settings() };
        let mut state = s.state();
        // Convolutions that start as zero would hide what was dropped before them.
        state.student = &state.student + 0.01;
        train_step(&settings, &mut state, &s.batch(10)).unwrap()
    };
    let (a, b, without) = (step(10, 0.3), step(3, 0.3), step(10, 0.0));
    assert!((a.loss / b.loss - 1.0).abs() < 1e-5, "{} {}", a.loss, b.loss);
    let (ga, gb) = (a.gradient.unwrap(), b.gradient.unwrap());
    let error = (&ga - &gb).norm().double_value(&[]) / ga.norm().double_value(&[]);
    assert!(error < 1e-4, "{error}");
    let moved = (&ga - without.gradient.unwrap()).norm().double_value(&[]) / ga.norm().double_value(&[]);
    assert!(moved > 1e-2, "{moved}");
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
    let report = train_step(&s.settings(), &mut state, &batch).unwrap();
    assert_eq!(report.non_finite, [7]);
    assert!(!report.applied);
    assert_eq!(state.student, before);
    assert_eq!((state.adam.steps, state.inference.updates), (0, 0));
    // EDM's rule mends gradients, never losses.
    let gradient = GradientRule::ReplaceNonFinite { limit: 1e5 };
    let report = train_step(&StepSettings { gradient, ..s.settings() }, &mut state, &batch).unwrap();
    assert!(!report.applied);
}

#[test]
fn fewer_draws_than_images_and_teachers_that_are_not_there_are_refused() {
    let s = Setting::new(8, 4);
    let mut state = s.state();
    let before = state.student.copy();
    for objective in [&s.tract, &s.denoising] {
        for dropout in [0.0, 0.3] {
            let settings = StepSettings { objective: objective.as_ref(), dropout, ..s.settings() };
            let mut batch = s.batch(10);
            batch.draws = batch.draws.slice(0..9);
            let e = train_step(&settings, &mut state, &batch).unwrap_err().to_string();
            assert!(e.contains("10 images, got 9"), "{e}");
        }
    }
    let own = state.self_teacher.take();
    let e = train_step(&s.settings(), &mut state, &s.batch(10)).unwrap_err().to_string();
    assert!(e.contains("asks a self-teacher, and there is none"), "{e}");
    (state.self_teacher, state.teacher) = (own, None);
    let e = train_step(&s.settings(), &mut state, &s.batch(10)).unwrap_err().to_string();
    assert!(e.contains("asks a teacher, and there is none"), "{e}");
    assert_eq!(state.student, before);
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
    let enter = |state: &mut TrainState, start| {
        state.enter(&s.distillation(start), 3, AdamConfig::default()).unwrap();
    };
    state.entered = false;
    enter(&mut state, StageStart::CarryOn);
    assert_eq!(state.teacher.as_ref().unwrap(), &average, "the teacher becomes the inference average");
    assert_eq!(state.student, student, "the student carries on");
    assert_eq!((state.adam.steps, state.inference.updates), (3, 3));
    enter(&mut state, StageStart::FromTeacher);
    assert_eq!(state.student, student, "inside a stage nothing is taken over");
    state.entered = false;
    enter(&mut state, StageStart::FromTeacher);
    assert_eq!(state.student, average, "the student restarts at the teacher");
    assert_eq!((state.adam.steps, state.inference.updates), (0, 0));
    let zero = Tensor::zeros_like(&state.adam.m);
    assert_eq!(state.adam.m, zero);
    assert!(matches!(state.student.device(), Device::Cpu));
}
