//! One training step: targets, losses, gradient, Adam and both averages.

use std::sync::Arc;

use anyhow::{Context, Result};
use fewstep_distill::{Batch, ObjectiveConfig};
use fewstep_models::ModelConfig;
use fewstep_random::{Draws, Key, Stream};
use fewstep_schedules::{LearningRate, PhasePlan, Schedule};
use fewstep_torch::{AdamConfig, Compute, Device, GradientRule, Kind, Operation, Profile, Tensor};
use fewstep_train::{Product, Rates, Stage, StageStart, StepSettings, TrainState, train_step};

use super::{Machine, Measured, timed};

/// A step to time.
#[derive(Clone, Debug)]
pub struct StepCase {
    /// The network.
    pub model: ModelConfig,
    /// Images of a step.
    pub batch: usize,
    /// Images of a forward and backward pass.
    pub micro_batch: usize,
    /// The objective's name.
    pub objective: String,
    /// Steps of teacher and student.
    pub steps: [usize; 2],
    /// The kind that networks compute in.
    pub compute: Compute,
    /// Where tensors are.
    pub device: Device,
    /// Seconds to measure for.
    pub seconds: f64,
}

/// Times the step. Also gives what libtorch did in one step, operation by operation.
///
/// # Errors
/// A case that cannot be built, or libtorch fails.
pub fn step(case: &StepCase, machine: &Machine) -> Result<(Measured, Vec<Operation>)> {
    let network = case.model.build()?;
    let config = ObjectiveConfig::named(&case.objective)
        .with_context(|| format!("no objective `{}`", case.objective))?;
    let grid = Schedule::default().grid(case.steps[0])?;
    let levels = PhasePlan::equal(&case.steps)?.on(&grid)?.remove(0);
    let makes = Product::student(levels.phase().student_indices());
    let objective = config.objective(levels, 0)?;
    let rates = Rates { lr: 1e-4, inference_decay: 0.9999, self_teacher_decay: 0.5 };
    let stage = Stage {
        name: case.objective.clone(),
        makes,
        network: Arc::clone(&network),
        teacher: Arc::clone(&network),
        objective: Arc::clone(&objective),
        start: StageStart::FromTeacher,
        steps: 1,
        learning_rate: LearningRate::constant(rates.lr),
        inference_decay: rates.inference_decay,
        self_teacher_decay: rates.self_teacher_decay,
        dropout: 0.0,
    };
    let adam = AdamConfig::default();
    let mut state = TrainState::fresh(network.as_ref(), 0, adam, case.compute, case.device)?;
    state.enter(&stage, 0, adam)?;
    let settings = StepSettings {
        student: network.as_ref(),
        teacher: network.as_ref(),
        objective: objective.as_ref(),
        micro_batch: case.micro_batch,
        compute: case.compute.into(),
        gradient: GradientRule::default(),
        dropout: 0.0,
        rates,
        keep_gradient: false,
    };
    let mut number = 0;
    let mut once = || -> Result<()> {
        let batch = batch(network.image_shape(), network.n_classes(), number, case.batch)?.on(case.device)?;
        number += case.batch as u64;
        train_step(&settings, &mut state, &batch)?;
        Ok(())
    };
    let seconds = timed(2, case.seconds, &mut once)?;
    let profile = Profile::start()?;
    once()?;
    let operations = profile.finish()?;
    let flops: f64 = operations.iter().map(|op| op.flops).sum();
    let name = format!("{} step, batch {}, {}", case.objective, case.batch, case.compute);
    Ok((Measured::images(name, case.batch, flops, &seconds, machine), operations))
}

/// What a step costs in other numbers of steps of teacher and student, and in other batches: it should be flat in the first,
/// and linear in the second.
///
/// # Errors
/// A case that cannot be built, or libtorch fails.
pub fn scale(case: &StepCase, machine: &Machine) -> Result<Vec<Measured>> {
    const STEPS: [[usize; 2]; 5] = [[64, 8], [1024, 1], [1024, 32], [1024, 512], [8192, 64]];
    let mut cases: Vec<(StepCase, String)> = Vec::new();
    for steps in STEPS {
        cases.push((StepCase { steps, ..case.clone() }, format!("{} -> {} steps", steps[0], steps[1])));
    }
    for factor in [2, 4] {
        let batch = factor * case.batch;
        cases.push((StepCase { batch, ..case.clone() }, format!("batch {batch}")));
    }
    cases.into_iter().map(|(case, name)| Ok(Measured { name, ..step(&case, machine)?.0 })).collect()
}

/// Images and noise of samples `first, first + 1, ...`.
fn batch(shape: [i64; 3], n_classes: i64, first: u64, n: usize) -> Result<Batch> {
    let draws = Draws::new(1, 0, (first..first + n as u64).collect());
    let [c, h, w] = shape;
    let image = |stream| -> Result<Tensor> {
        let values = draws.normals(stream, (c * h * w) as usize);
        Ok(Tensor::f_from_slice(&values)?.f_view([n as i64, c, h, w])?)
    };
    let labels = match std::num::NonZero::new(n_classes as u64) {
        None => None,
        Some(classes) => {
            let key = Key::new(1, 0, Stream::SampleLabel);
            let labels: Vec<i64> = draws.ns().iter().map(|&n| key.below(n, classes) as i64).collect();
            Some(Tensor::f_from_slice(&labels)?.f_to_kind(Kind::Int64)?)
        }
    };
    Ok(Batch { x0: image(Stream::Sample)?.f_tanh()?, noise: image(Stream::Noise)?, labels, draws })
}
