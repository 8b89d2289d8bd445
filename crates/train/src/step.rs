//! One training step: target, loss, gradient, Adam, both averages.

use std::sync::Arc;

use fewstep_distill::Batch;
use fewstep_models::Model;
use fewstep_models::nn::Dropout;
use fewstep_torch::{Device, GradientRule, Key, Kind, Params, ScalarOps, Stream, Tensor};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::objective::{Draws, Networks, Objective};
use crate::state::TrainState;

/// Micro-batches a thread that are under way at once.
const JOBS_A_THREAD: usize = 4;

/// Rates of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the inference average.
    pub inference_decay: f64,
    /// Decay of the self-teacher.
    pub self_teacher_decay: f64,
}

/// How a step is carried out.
#[derive(Clone, Copy, Debug)]
pub struct StepOptions<'a> {
    /// Images a forward and backward pass.
    pub micro_batch: usize,
    /// What happens to the gradient.
    pub gradient: GradientRule,
    /// Whether the report carries the gradient that Adam saw.
    pub keep_gradient: bool,
    /// Dropout in the student, if any.
    pub dropout: Option<&'a DropoutDraws>,
    /// The teacher's network, if it is another than the student's.
    pub teacher: Option<&'a Model>,
}

/// Dropout of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct DropoutDraws {
    /// Probability that a value is dropped.
    pub rate: f64,
    /// One for each image.
    pub seeds: Vec<u64>,
}

impl DropoutDraws {
    /// The draws for the samples `ns` of a stage: a function of the run's key alone. `None` at rate 0.
    pub fn draw(rate: f64, seed: u64, stage: u64, ns: &[u64]) -> Option<Self> {
        let key = Key::new(seed, stage, Stream::Dropout);
        (rate > 0.0).then(|| Self { rate, seeds: ns.iter().map(|&n| key.bits(n)).collect() })
    }
}

/// What a step found.
#[derive(Debug)]
pub struct StepReport {
    /// Mean loss of the batch.
    pub loss: f64,
    /// L2 norm of the gradient before the rule was applied.
    pub grad_norm: f64,
    /// Positions in the batch whose loss is not finite. If there are any, or if the gradient is not finite and the rule
    /// does not mend that, the state was not changed.
    pub non_finite: Vec<usize>,
    /// Whether the state was changed.
    pub applied: bool,
    /// The gradient that Adam saw, `[total]`, if asked for.
    pub gradient: Option<Tensor>,
}

/// The flat buffers that one micro-batch reads; clones share storage.
struct Buffers {
    student: Tensor,
    teacher: Option<Tensor>,
    self_teacher: Option<Tensor>,
}

/// One micro-batch on its way to a worker.
struct Job {
    buffers: Buffers,
    batch: Batch,
    draws: Draws,
    dropout: Option<DropoutDraws>,
}

/// Takes one step: the gradient of the batch's mean loss, the gradient rule, Adam, both averages.
///
/// The batch is cut into micro-batches. On a CPU they are spread over the current rayon pool, each on one thread, and
/// their gradients are added in order: the same numbers come out whatever the number of threads.
///
/// # Errors
/// Shapes that do not fit, or a failure of libtorch. Values that are not finite are not an error here: see
/// [`StepReport::non_finite`].
pub fn train_step(
    model: &Model,
    objective: &Objective,
    state: &mut TrainState,
    batch: &Batch,
    draws: &Draws,
    rates: &Rates,
    options: &StepOptions<'_>,
) -> Result<StepReport> {
    let (mut gradient, losses) = batch_gradient(model, objective, state, batch, draws, options)?;
    let loss = losses.iter().sum::<f64>() / losses.len() as f64;
    let non_finite: Vec<usize> = (0..losses.len()).filter(|&i| !losses[i].is_finite()).collect();
    let grad_norm = options.gradient.apply(&mut gradient)?;
    let sound = grad_norm.is_finite() || options.gradient.tolerates_non_finite();
    let applied = non_finite.is_empty() && sound;
    if applied {
        state.adam.step(&state.student, &gradient, rates.lr)?;
        if let Some(own) = &mut state.self_teacher {
            own.update(&state.student, rates.self_teacher_decay)?;
        }
        state.inference.update(&state.student, rates.inference_decay)?;
    }
    let gradient = options.keep_gradient.then_some(gradient);
    Ok(StepReport { loss, grad_norm, non_finite, applied, gradient })
}

/// Gradient of the mean loss with respect to the flat student, and the loss of every image.
fn batch_gradient(
    model: &Model,
    objective: &Objective,
    state: &TrainState,
    batch: &Batch,
    draws: &Draws,
    options: &StepOptions<'_>,
) -> Result<(Tensor, Vec<f64>)> {
    let (n, micro_batch) = (batch.len(), options.micro_batch);
    if n == 0 || draws.len() != n || options.dropout.is_some_and(|d| d.seeds.len() != n) {
        let problem = format!("a batch of {n} images with {} draws", draws.len());
        return Err(Error::Plan { key: "batch", problem });
    }
    if micro_batch == 0 {
        return Err(Error::Plan { key: "micro_batch", problem: "must be at least 1, is 0".into() });
    }
    let mut jobs = Vec::new();
    for from in (0..n).step_by(micro_batch) {
        let to = (from + micro_batch).min(n);
        let cut = |d: &DropoutDraws| DropoutDraws { rate: d.rate, seeds: d.seeds[from..to].to_vec() };
        jobs.push(Job { dropout: options.dropout.map(cut), ..Job::new(state, batch, draws, from, to)? });
    }
    let parallel = batch.device() == Device::Cpu;
    let teacher = options.teacher.unwrap_or(model);
    // In waves, so that only so many gradients are alive; of several jobs a thread, so that on a shared machine a thread
    // that is held up does not hold up the others.
    let wave = if parallel { JOBS_A_THREAD * rayon::current_num_threads().max(1) } else { 1 };
    let mut sum: Option<Tensor> = None;
    let mut losses = Vec::with_capacity(n);
    let mut jobs = jobs.into_iter();
    loop {
        let now: Vec<Job> = jobs.by_ref().take(wave).collect();
        if now.is_empty() {
            break;
        }
        let done: Vec<Result<(Tensor, Vec<f64>)>> = if parallel && now.len() > 1 {
            now.into_par_iter().map(|job| job.run((model, teacher), objective, n)).collect()
        } else {
            now.into_iter().map(|job| job.run((model, teacher), objective, n)).collect()
        };
        for result in done {
            let (gradient, part) = result?;
            losses.extend(part);
            sum = Some(match sum {
                Some(mut sum) => sum.f_add_(&gradient)?,
                None => gradient,
            });
        }
    }
    let gradient = sum.ok_or(Error::Plan { key: "batch", problem: "is empty".into() })?;
    Ok((gradient, losses))
}

impl Job {
    fn new(state: &TrainState, batch: &Batch, draws: &Draws, from: usize, to: usize) -> Result<Self> {
        let cut = |t: &Tensor| t.f_narrow(0, from as i64, (to - from) as i64);
        Ok(Self {
            buffers: Buffers {
                student: state.student.shallow_clone(),
                teacher: state.teacher.as_ref().map(Tensor::shallow_clone),
                self_teacher: state.self_teacher.as_ref().map(|e| e.flat.shallow_clone()),
            },
            batch: Batch {
                x0: cut(&batch.x0)?,
                noise: cut(&batch.noise)?,
                labels: batch.labels.as_ref().map(cut).transpose()?,
            },
            draws: draws.slice(from, to),
            dropout: None,
        })
    }

    /// The micro-batch's share of the gradient, and its losses. `total` is the size of the whole batch.
    fn run(
        self,
        (model, taught_by): (&Model, &Model),
        objective: &Objective,
        total: usize,
    ) -> Result<(Tensor, Vec<f64>)> {
        let frozen = |model: &Model, flat: &Option<Tensor>| -> Result<Option<Params>> {
            Ok(flat.as_ref().map(|f| Params::frozen(Arc::clone(model.layout()), f)).transpose()?)
        };
        let student = Params::with_grad(Arc::clone(model.layout()), &self.buffers.student)?;
        let teacher = frozen(taught_by, &self.buffers.teacher)?;
        let own = frozen(model, &self.buffers.self_teacher)?;
        let device = self.buffers.student.device();
        let dropout = self.dropout.as_ref().map(|d| Dropout::new(d.rate, &d.seeds, device)).transpose()?;
        let denoisers = (
            dropout.as_ref().map_or(model.denoiser(&student), |d| model.denoiser(&student).with_dropout(d)),
            teacher.as_ref().map(|p| taught_by.denoiser(p)),
            own.as_ref().map(|p| model.denoiser(p)),
        );
        let networks = Networks {
            student: &denoisers.0,
            teacher: denoisers.1.as_ref().map(|d| d as _),
            self_teacher: denoisers.2.as_ref().map(|d| d as _),
        };
        let losses = objective.losses(&networks, &self.batch, &self.draws)?;
        let share = losses.f_sum(Kind::Double)?.div_number(total as f64)?;
        let gradient = Tensor::f_run_backward(&[share], &[student.flat()], false, false)?;
        let values = Vec::<f64>::try_from(losses.f_detach()?.f_to_device(Device::Cpu)?)?;
        let gradient = gradient.into_iter().next();
        let missing =
            || Error::Plan { key: "objective", problem: "its loss does not reach the student".into() };
        Ok((gradient.ok_or_else(missing)?, values))
    }
}
