//! The loop over stages and steps.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fewstep_data::{Dataset, DrawConfig, Prefetch};
use fewstep_distill::Batch;
use fewstep_torch::{Device, Kind, Tensor};

use crate::checkpoint::CheckpointStore;
use crate::error::{Error, Result};
use crate::networks::Networks;
use crate::plan::{Stage, StageStart, TrainPlan};
use crate::state::TrainState;
use crate::step::{DropoutDraws, Rates, StepOptions, StepReport, train_step};

/// Batches made ahead of the step that uses them.
const PREFETCH: usize = 4;

/// Where a run stands after a step.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The stage.
    pub stage: &'a Stage,
    /// Its number, counted from 0.
    pub stage_index: usize,
    /// Steps of the stage done.
    pub step: u64,
    /// Samples of the whole run done.
    pub samples: u64,
    /// Learning rate of the step.
    pub lr: f64,
}

/// Watches a run. An error of an observer ends the run at the last checkpoint.
pub trait Observer {
    /// A step was taken.
    ///
    /// # Errors
    /// Ends the run.
    fn on_step(&mut self, progress: &Progress, report: &StepReport) -> Result<()>;

    /// The state after a step, before the next one or the stage's end; called again if the run is resumed just here. This is
    /// the place to measure on the way: nothing that is done with the state changes the run.
    ///
    /// # Errors
    /// Ends the run.
    fn on_state(&mut self, _stage: &Stage, _index: usize, _samples: u64, _state: &TrainState) -> Result<()> {
        Ok(())
    }

    /// What the observer wants to be told again when the run goes on from the checkpoint that is about to be written; see
    /// [`Restored::memory`](crate::Restored::memory).
    ///
    /// # Errors
    /// Ends the run.
    fn memory(&mut self) -> Result<Option<String>> {
        Ok(None)
    }

    /// A checkpoint was written at `samples` samples of the run.
    ///
    /// # Errors
    /// Ends the run.
    fn on_checkpoint(&mut self, path: &std::path::Path, samples: u64) -> Result<()>;

    /// A stage is complete; `state` still is the stage's own. Called again if the run is resumed just here.
    ///
    /// # Errors
    /// Ends the run.
    fn on_stage_end(&mut self, stage: &Stage, index: usize, state: &TrainState) -> Result<()>;
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// All stages are done.
    Finished(TrainState),
    /// It was asked to stop, and wrote this checkpoint.
    Stopped(PathBuf),
}

/// A run: what it follows and what it reads and writes.
#[derive(Debug)]
pub struct Trainer<'a> {
    /// The networks.
    pub networks: Networks<'a>,
    /// The plan.
    pub plan: &'a TrainPlan,
    /// Where checkpoints go.
    pub store: &'a CheckpointStore,
    /// Where tensors live.
    pub device: Device,
}

impl Trainer<'_> {
    /// Follows the plan from `state` to its end, or until `stop` is set.
    ///
    /// # Errors
    /// A loss or gradient that is not finite (the state before it is checkpointed), data that cannot be read, a checkpoint
    /// that cannot be written, an observer's error.
    pub fn run(
        &self,
        mut state: TrainState,
        dataset: &Arc<dyn Dataset>,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Outcome> {
        self.plan.validate()?;
        let mut saved_at = self.samples(&state);
        // A state that was kept at the very start of a stage has a teacher; that of a whole run's start has none.
        let mut begun = state.teacher.is_some();
        while let Some(stage) = self.plan.stages.get(state.stage) {
            if !begun {
                self.start_new_student(stage, &mut state)?;
            }
            state.enter_stage(stage.start, stage.objective.has_self_teacher(), self.plan.adam)?;
            let draws = DrawConfig { seed: self.plan.seed, stage: state.stage as u64, flip: self.plan.flip };
            let total = self.plan.samples(state.stage);
            let mut batches =
                Prefetch::start(Arc::clone(dataset), draws, self.plan.batch, state.nimg, PREFETCH)?;
            while state.nimg < total {
                if stop.load(Ordering::Relaxed) {
                    return Ok(Outcome::Stopped(self.checkpoint(&state, observer)?));
                }
                if state.nimg > 0 {
                    observer.on_state(stage, state.stage, self.samples(&state), &state)?;
                }
                self.step(stage, &mut state, batches.next_batch()?, total, observer)?;
                let samples = self.samples(&state);
                if samples - saved_at >= self.plan.checkpoint_every || state.nimg == total {
                    self.checkpoint(&state, observer)?;
                    saved_at = samples;
                }
            }
            observer.on_state(stage, state.stage, self.samples(&state), &state)?;
            if stop.load(Ordering::Relaxed) {
                return Ok(Outcome::Stopped(self.checkpoint(&state, observer)?));
            }
            observer.on_stage_end(stage, state.stage, &state)?;
            state.stage += 1;
            state.nimg = 0;
            begun = false;
        }
        Ok(Outcome::Finished(state))
    }

    /// The student of a stage that begins with another network.
    fn start_new_student(&self, stage: &Stage, state: &mut TrainState) -> Result<()> {
        let StageStart::NewStudent { from_teacher } = stage.start else { return Ok(()) };
        let student = self.networks.new_student(&state.inference.flat, self.plan.seed, from_teacher)?;
        state.replace_student(student, self.plan.adam)
    }

    /// Samples of the whole run that `state` has seen.
    fn samples(&self, state: &TrainState) -> u64 {
        self.plan.samples_before(state.stage) + state.nimg
    }

    fn checkpoint(&self, state: &TrainState, observer: &mut dyn Observer) -> Result<PathBuf> {
        let samples = self.samples(state);
        let path = self.store.save(state, samples, observer.memory()?.as_deref())?;
        observer.on_checkpoint(&path, samples)?;
        Ok(path)
    }

    fn step(
        &self,
        stage: &Stage,
        state: &mut TrainState,
        data: fewstep_data::Batch,
        total: u64,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let draws = stage.objective.draw(self.plan.seed, state.stage as u64, &data.ns)?;
        let dropout = DropoutDraws::draw(stage.dropout, self.plan.seed, state.stage as u64, &data.ns);
        let batch = self.to_device(&data)?;
        let nimg = state.nimg + self.plan.batch as u64;
        let lr = stage.learning_rate.at(nimg, total);
        let (inference_decay, self_teacher_decay) = (stage.inference_decay, stage.self_teacher_decay);
        let rates = Rates { lr, inference_decay, self_teacher_decay };
        let options = StepOptions {
            micro_batch: self.plan.micro_batch,
            gradient: self.plan.gradient,
            keep_gradient: false,
            dropout: dropout.as_ref(),
            teacher: Some(self.networks.teaching(state.stage)),
        };
        let model = self.networks.trained(state.stage);
        let report = train_step(model, &stage.objective, state, &batch, &draws, &rates, &options)?;
        let step = nimg / self.plan.batch as u64;
        if !report.applied {
            let kept = self.store.save(state, self.samples(state), observer.memory()?.as_deref())?;
            return Err(not_finite(kept, stage, step, &report, &data.ns));
        }
        state.nimg = nimg;
        let progress = Progress { stage, stage_index: state.stage, step, samples: self.samples(state), lr };
        observer.on_step(&progress, &report)
    }

    fn to_device(&self, data: &fewstep_data::Batch) -> Result<Batch> {
        let state =
            |t: &Tensor| -> Result<Tensor> { Ok(t.f_to_device(self.device)?.f_to_kind(Kind::Double)?) };
        let labels = data.labels.as_ref().map(|l| l.f_to_device(self.device)).transpose()?;
        Ok(Batch { x0: state(&data.x0)?, noise: state(&data.noise)?, labels })
    }
}

/// Says where a run broke whose last good state was `kept`.
fn not_finite(kept: PathBuf, stage: &Stage, step: u64, report: &StepReport, ns: &[u64]) -> Error {
    let (what, samples) = if report.non_finite.is_empty() {
        ("gradient", format!("{} to {}", ns.first().unwrap_or(&0), ns.last().unwrap_or(&0)))
    } else {
        let shown: Vec<String> =
            report.non_finite.iter().take(8).filter_map(|&i| ns.get(i)).map(u64::to_string).collect();
        ("loss", format!("{}, {} of {} in the batch", shown.join(" "), report.non_finite.len(), ns.len()))
    };
    Error::NonFinite { what, stage: stage.name.clone(), step, samples, kept }
}
