//! One training step: target, loss, gradient, Adam, both averages.

use std::sync::Arc;

use fewstep_distill::{Batch, Objective, Teachers};
use fewstep_models::nn::Dropout;
use fewstep_models::{Denoiser, Network};
use fewstep_random::Stream;
use fewstep_torch::{Device, GradientRule, Kind, Params, ProductsOf, ScalarOps, Tensor, in_order};

use crate::error::{Error, Result};
use crate::in_flight::InFlight;
use crate::policy::ComputePolicy;
use crate::share::Share;
use crate::state::{TrainState, copy};

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

/// What a step does and how.
#[derive(Clone, Copy, Debug)]
pub struct StepSettings<'a> {
    /// The network that is trained; the self-teacher's too.
    pub student: &'a dyn Network,
    /// The teacher's network.
    pub teacher: &'a dyn Network,
    /// What is optimised.
    pub objective: &'a dyn Objective,
    /// Images per forward and backward pass.
    pub micro_batch: usize,
    /// What the networks compute in.
    pub compute: ComputePolicy,
    /// What happens to the gradient.
    pub gradient: GradientRule,
    /// Probability that a value of the student is dropped.
    pub dropout: f64,
    /// Learning rate and decays.
    pub rates: Rates,
    /// Whether the report carries the gradient that Adam saw.
    pub keep_gradient: bool,
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

/// Takes one step: the gradient of the batch's mean loss, the gradient rule, Adam, both averages.
///
/// The batch is cut into micro-batches. On a CPU they are spread over the current rayon pool, each on one thread, and
/// their gradients are added in order: the same numbers come out whatever the number of threads.
///
/// # Errors
/// Shapes that do not fit, or a failure of libtorch. Values that are not finite are not an error here: see
/// [`StepReport::non_finite`].
pub fn train_step(s: &StepSettings<'_>, state: &mut TrainState, batch: &Batch) -> Result<StepReport> {
    shared_step(s, state, batch, &Share::whole(batch.len()), false).map(|(report, _)| report)
}

/// The same step on every worker: `batch` is this worker's share of the step's. Gives the report of the whole step, and whether
/// any worker says `stop`.
///
/// # Errors
/// As [`train_step`], and a worker that is gone; the state is then unchanged.
pub fn shared_step(
    s: &StepSettings<'_>,
    state: &mut TrainState,
    batch: &Batch,
    share: &Share<'_>,
    stop: bool,
) -> Result<(StepReport, bool)> {
    let (mut gradient, losses) = batch_gradient(s, state, batch, share.batch())?;
    let (losses, stop) = share.reduce(&gradient, losses, stop)?;
    let loss = losses.iter().sum::<f64>() / losses.len() as f64;
    let non_finite: Vec<usize> = (0..losses.len()).filter(|&i| !losses[i].is_finite()).collect();
    let (grad_norm, scaling) = s.gradient.scaling(&gradient)?;
    let sound = grad_norm.is_finite() || s.gradient.tolerates_non_finite();
    let applied = non_finite.is_empty() && sound;
    let kept = s.keep_gradient.then(|| copy(&gradient)).transpose()?;
    let kept = kept.map(|mut seen| scaling.apply(&mut seen).map(|()| seen)).transpose()?;
    if applied {
        let mut averages = vec![(&mut state.inference, s.rates.inference_decay)];
        averages.extend(state.self_teacher.as_mut().map(|ema| (ema, s.rates.self_teacher_decay)));
        state.adam.step(&state.student, &mut gradient, s.rates.lr, scaling, &mut averages)?;
    }
    Ok((StepReport { loss, grad_norm, non_finite, applied, gradient: kept }, stop))
}

/// What the batch adds to the gradient of the mean loss over `total` images with respect to the flat student, and the loss of
/// every image.
fn batch_gradient(
    s: &StepSettings<'_>,
    state: &TrainState,
    batch: &Batch,
    total: usize,
) -> Result<(Tensor, Vec<f64>)> {
    let n = batch.len();
    for (key, count) in [("batch", n), ("micro_batch", s.micro_batch)] {
        if count == 0 {
            return Err(Error::Plan { key, problem: "must be at least 1, is 0".into() });
        }
    }
    let starts = (0..n).step_by(s.micro_batch);
    let job = |from| Ok(MicroBatch::new(state, batch.slice(from..n.min(from + s.micro_batch))?));
    let jobs = starts.map(job).collect::<Result<Vec<_>>>()?;
    let at_once = InFlight::of(&state.student).most();
    let mut sum: Option<Tensor> = None;
    let mut losses = Vec::with_capacity(jobs.len());
    let run = |job: MicroBatch| job.gradient(s, total);
    in_order(batch.device() == Device::Cpu, at_once, jobs, run, |(gradient, part)| -> Result<()> {
        losses.push(part);
        sum = Some(match sum.take() {
            Some(mut sum) => sum.f_add_(&gradient)?,
            None => gradient,
        });
        Ok(())
    })?;
    let gradient = sum.ok_or(Error::Plan { key: "batch", problem: "is empty".into() })?;
    // Read here, once: to read a number waits for the device.
    let losses = Tensor::f_cat(&losses, 0)?.f_to_device(Device::Cpu)?;
    Ok((gradient, Vec::<f64>::try_from(losses)?))
}

/// A part of the batch, with the buffers that it reads; clones share storage.
pub(crate) struct MicroBatch {
    student: Tensor,
    teacher: Option<Tensor>,
    self_teacher: Option<Tensor>,
    batch: Batch,
}

impl MicroBatch {
    pub(crate) fn new(state: &TrainState, batch: Batch) -> Self {
        Self {
            student: state.student.shallow_clone(),
            teacher: state.teacher.as_ref().map(Tensor::shallow_clone),
            self_teacher: state.self_teacher.as_ref().map(|ema| ema.flat.shallow_clone()),
            batch,
        }
    }

    /// Its share of the gradient of the mean over `total` images, and its losses.
    pub(crate) fn gradient(self, s: &StepSettings<'_>, total: usize) -> Result<(Tensor, Tensor)> {
        let frozen = |network: &dyn Network, flat: &Option<Tensor>| -> Result<Option<Params>> {
            let params =
                |flat: &Tensor| Params::frozen_in(s.compute.frozen, Arc::clone(network.layout()), flat);
            Ok(flat.as_ref().map(params).transpose()?)
        };
        let params = Params::with_grad_in(s.compute.student, Arc::clone(s.student.layout()), &self.student)?;
        let teacher = frozen(s.teacher, &self.teacher)?;
        let self_teacher = frozen(s.student, &self.self_teacher)?;
        let labels = self.batch.labels.as_ref();
        let dropout = self.dropout(s.dropout)?;
        let student = s.student.denoiser(&params).with_labels(labels).with_dropout(dropout.as_ref());
        let teacher = teacher.as_ref().map(|params| s.teacher.denoiser(params).with_labels(labels));
        let self_teacher = self_teacher.as_ref().map(|params| s.student.denoiser(params).with_labels(labels));
        let teachers = Teachers::new(
            teacher.as_ref().map(|d| d as &dyn Denoiser),
            self_teacher.as_ref().map(|d| d as &dyn Denoiser),
        );

        let losses = s.objective.losses(&student, &teachers, &self.batch)?;
        let share = losses.f_sum(Kind::Double)?.div_number(total as f64)?;
        let _products = ProductsOf::in_kind(s.compute.student, self.student.device())?;
        let gradient = Tensor::f_run_backward(&[share], &[params.flat()], false, false)?;
        if losses.size() != [self.batch.len() as i64] {
            let problem = format!("gives {} losses for {} images", losses.numel(), self.batch.len());
            return Err(Error::Plan { key: "objective", problem });
        }
        let unreached =
            || Error::Plan { key: "objective", problem: "its loss does not reach the student".into() };
        Ok((gradient.into_iter().next().ok_or_else(unreached)?, losses.f_detach()?))
    }

    /// Masks of the student's dropout, each a function of its sample.
    fn dropout(&self, rate: f64) -> Result<Option<Dropout>> {
        if rate == 0.0 {
            return Ok(None);
        }
        let seeds = self.batch.draws.bits(Stream::Dropout);
        Ok(Some(Dropout::new(rate, &seeds, self.student.device())?))
    }
}
