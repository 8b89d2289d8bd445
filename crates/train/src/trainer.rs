//! The loop over stages and steps.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fewstep_data::Dataset;
use fewstep_distill::Batch;
use fewstep_torch::{Device, Workers, release_freed};

use crate::checkpoint::CheckpointStore;
use crate::error::{Error, Result};
use crate::feed::Feed;
use crate::loader::DrawConfig;
use crate::plan::{Plan, Stage};
use crate::prefetch::Prefetch;
use crate::share::Share;
use crate::state::TrainState;
use crate::step::{Rates, StepReport, StepSettings, shared_step};

/// Batches made ahead of the step that uses them.
pub(crate) const PREFETCH: usize = 4;

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

/// Watches a run. An error of an observer ends the run at the last checkpoint. `()` is the observer that does nothing.
pub trait Observer {
    /// A step was taken.
    ///
    /// # Errors
    /// Ends the run.
    fn on_step(&mut self, _progress: &Progress, _report: &StepReport) -> Result<()> {
        Ok(())
    }

    /// The state after a step, before the next one or the stage's end; called again if the run is resumed just here. This is
    /// the place to measure on the way: nothing that is done with the state changes the run. `samples` counts those of the
    /// whole run; the stage's number is the state's.
    ///
    /// # Errors
    /// Ends the run.
    fn on_state(&mut self, _stage: &Stage, _samples: u64, _state: &TrainState) -> Result<()> {
        Ok(())
    }

    /// A text that the checkpoint about to be written keeps for the observer; see
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
    fn on_checkpoint(&mut self, _path: &Path, _samples: u64) -> Result<()> {
        Ok(())
    }

    /// A stage is complete; `state` still is the stage's own. Called again if the run is resumed just here.
    ///
    /// # Errors
    /// Ends the run.
    fn on_stage_end(&mut self, _stage: &Stage, _state: &TrainState) -> Result<()> {
        Ok(())
    }
}

impl Observer for () {}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// All stages are done.
    Finished(TrainState),
    /// It was asked to stop, and wrote this checkpoint.
    Stopped(PathBuf),
}

/// A run: what it follows and what it reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct Trainer<'a> {
    /// The plan.
    pub plan: &'a Plan,
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
        state: TrainState,
        dataset: &Arc<dyn Dataset>,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Outcome> {
        self.run_among(&Workers::alone(), state, dataset, stop, observer)
    }

    /// The same as one of several workers, which all call it with the same plan and state, as [`hand_out`](crate::hand_out)
    /// gives it. Every worker computes its share of each step, and all hold the same state after it. Rank 0 alone writes
    /// checkpoints. Whichever worker is asked to stop, all stop after the same step.
    ///
    /// # Errors
    /// As [`Trainer::run`]; more workers than micro-batches; a worker that is gone (rank 0 checkpoints the state before the
    /// step). The others are told of an error.
    pub fn run_among(
        &self,
        workers: &Workers,
        state: TrainState,
        dataset: &Arc<dyn Dataset>,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Outcome> {
        let outcome = self.follow(workers, state, dataset, stop, observer);
        if let Err(e) = &outcome {
            workers.leave(&e.to_string());
        }
        outcome
    }

    fn follow(
        &self,
        workers: &Workers,
        mut state: TrainState,
        dataset: &Arc<dyn Dataset>,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Outcome> {
        self.plan.validate()?;
        let share = Share::of(workers, self.plan.batch, self.plan.micro_batch)?;
        let asked = || stop.load(Ordering::Relaxed);
        // One worker stops at once, several when all know of it, which is after the next step.
        let mut agreed = workers.any(asked())?;
        let mut saved_at = self.samples(&state);
        while let Some(stage) = self.plan.stages.get(state.stage) {
            state.enter(stage, self.plan.seed, self.plan.adam)?;
            release_freed();
            let draws = DrawConfig { seed: self.plan.seed, stage: state.stage as u64, flip: self.plan.flip };
            let total = self.plan.samples(state.stage);
            let (part, first) = ((self.plan.batch, share.part()), state.nimg);
            let batches =
                Prefetch::start_for(self.device, Arc::clone(dataset), draws, part, first, PREFETCH)?;
            let classes = [&stage.network, &stage.teacher].map(|network| network.n_classes());
            let mut feed = Feed::new(batches, self.device, classes);
            while state.nimg < total {
                if agreed || (workers.is_alone() && asked()) {
                    return Ok(Outcome::Stopped(self.checkpoint(&share, &state, observer)?));
                }
                if state.nimg > 0 {
                    observer.on_state(stage, self.samples(&state), &state)?;
                }
                let more = state.nimg + (self.plan.batch as u64) < total;
                let batch = feed.next_batch(more)?;
                agreed = self.step(stage, &mut state, (&batch, &share, asked()), total, observer)?;
                let samples = self.samples(&state);
                if samples - saved_at >= self.plan.checkpoint_every || state.nimg == total {
                    self.checkpoint(&share, &state, observer)?;
                    saved_at = samples;
                }
            }
            observer.on_state(stage, self.samples(&state), &state)?;
            if agreed || (workers.is_alone() && asked()) {
                return Ok(Outcome::Stopped(self.checkpoint(&share, &state, observer)?));
            }
            observer.on_stage_end(stage, &state)?;
            state.leave_stage();
        }
        Ok(Outcome::Finished(state))
    }

    /// Samples of the whole run that `state` has seen.
    fn samples(&self, state: &TrainState) -> u64 {
        self.plan.samples_before(state.stage) + state.nimg
    }

    /// Writes a checkpoint; a worker that is not the first only says where.
    fn checkpoint(&self, share: &Share, state: &TrainState, observer: &mut dyn Observer) -> Result<PathBuf> {
        let samples = self.samples(state);
        if !share.workers().is_first() {
            return Ok(self.store.place(samples));
        }
        let path = self.store.save(state, samples, observer.memory()?.as_deref())?;
        observer.on_checkpoint(&path, samples)?;
        Ok(path)
    }

    /// One step; whether any worker was asked to stop.
    fn step(
        &self,
        stage: &Stage,
        state: &mut TrainState,
        (batch, share, stop): (&Batch, &Share, bool),
        total: u64,
        observer: &mut dyn Observer,
    ) -> Result<bool> {
        let before = state.nimg;
        let nimg = before + self.plan.batch as u64;
        let lr = stage.learning_rate.at(nimg, total);
        let settings = StepSettings {
            student: stage.network.as_ref(),
            teacher: stage.teacher.as_ref(),
            objective: stage.objective.as_ref(),
            micro_batch: self.plan.micro_batch,
            compute: self.plan.compute,
            gradient: self.plan.gradient,
            dropout: stage.dropout,
            rates: Rates {
                lr,
                inference_decay: stage.inference_decay,
                self_teacher_decay: stage.self_teacher_decay,
            },
            keep_gradient: false,
        };
        let (report, stop) = match shared_step(&settings, state, batch, share, stop) {
            Ok(done) => done,
            Err(Error::Torch(fewstep_torch::Error::Workers(source))) if share.workers().is_first() => {
                return Err(Error::Workers { source, kept: self.keep(share, state, observer)? });
            }
            Err(e) => return Err(e),
        };
        let step = nimg / self.plan.batch as u64;
        if !report.applied {
            let kept = self.keep(share, state, observer)?;
            return Err(not_finite(kept, stage, step, &report, before..nimg));
        }
        state.nimg = nimg;
        let progress = Progress { stage, stage_index: state.stage, step, samples: self.samples(state), lr };
        observer.on_step(&progress, &report)?;
        Ok(stop)
    }

    /// Keeps the state before a step that failed.
    fn keep(&self, share: &Share, state: &TrainState, observer: &mut dyn Observer) -> Result<PathBuf> {
        let samples = self.samples(state);
        if !share.workers().is_first() {
            return Ok(self.store.place(samples));
        }
        self.store.save(state, samples, observer.memory()?.as_deref())
    }
}

/// Says where a run broke whose last good state was `kept`; `ns` are the samples of the step.
fn not_finite(kept: PathBuf, stage: &Stage, step: u64, report: &StepReport, ns: Range<u64>) -> Error {
    let (what, samples) = if report.non_finite.is_empty() {
        ("gradient", format!("{} to {}", ns.start, ns.end.saturating_sub(1)))
    } else {
        let shown: Vec<String> =
            report.non_finite.iter().take(8).map(|&i| (ns.start + i as u64).to_string()).collect();
        let n = ns.end - ns.start;
        ("loss", format!("{}, {} of {n} in the batch", shown.join(" "), report.non_finite.len()))
    };
    Error::NonFinite { what, stage: stage.name.clone(), step, samples, kept }
}
