//! Runs that are taken up again and again.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)] // each user takes what it needs

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fewstep_data::Dataset;
use fewstep_torch::Device;
use fewstep_train::{
    CheckpointStore, Error, Observer, Outcome, Plan, Progress, Result, Stage, StepReport, TrainState, Trainer,
};

/// Asks to stop after a number of steps; remembers what it saw.
pub struct Watch<'a> {
    pub stop: &'a AtomicBool,
    pub stop_after: Option<u64>,
    pub steps: u64,
    pub ended: Vec<usize>,
    /// Of every state: its stage, whether there is a teacher, whether there is a self-teacher.
    pub seen: Vec<(usize, bool, bool)>,
    pub fail: bool,
}

impl<'a> Watch<'a> {
    pub fn new(stop: &'a AtomicBool, stop_after: Option<u64>) -> Self {
        Self { stop, stop_after, steps: 0, ended: vec![], seen: vec![], fail: false }
    }
}

impl Observer for Watch<'_> {
    fn on_step(&mut self, _: &Progress, _: &StepReport) -> Result<()> {
        self.steps += 1;
        if self.fail {
            return Err(Error::Observer("full disk".into()));
        }
        if Some(self.steps) == self.stop_after {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn on_state(&mut self, _: &Stage, _: u64, state: &TrainState) -> Result<()> {
        self.seen.push((state.stage, state.teacher.is_some(), state.self_teacher.is_some()));
        Ok(())
    }

    fn on_checkpoint(&mut self, path: &Path, _: u64) -> Result<()> {
        assert!(path.join("manifest.json").exists());
        Ok(())
    }

    fn on_stage_end(&mut self, _: &Stage, state: &TrainState) -> Result<()> {
        self.ended.push(state.stage);
        // A piece that has nothing but the end of a stage to do stops where the next one begins.
        if self.steps == 0 && self.stop_after.is_some() {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// A run, or a piece of one.
pub struct Piece {
    /// If it is done.
    pub state: Option<TrainState>,
    pub steps: u64,
    pub ended: Vec<usize>,
    pub seen: Vec<(usize, bool, bool)>,
}

/// Follows `plan` from where `folder` has it, for so many steps at most.
pub fn run(plan: &Plan, dataset: &Arc<dyn Dataset>, folder: &Path, stop_after: Option<u64>) -> Piece {
    let store = CheckpointStore::open(folder, "plan", 2).unwrap();
    let state = match store.load_newest(plan, Device::Cpu).unwrap() {
        Some(restored) => restored.state,
        None => {
            let network = plan.stages[0].network.as_ref();
            TrainState::fresh(network, plan.seed, plan.adam, plan.compute.student, Device::Cpu).unwrap()
        }
    };
    let stop = AtomicBool::new(false);
    let mut watch = Watch::new(&stop, stop_after);
    let trainer = Trainer { plan, store: &store, device: Device::Cpu };
    let outcome = trainer.run(state, dataset, &stop, &mut watch).unwrap();
    let state = if let Outcome::Finished(state) = outcome { Some(state) } else { None };
    Piece { state, steps: watch.steps, ended: watch.ended, seen: watch.seen }
}

/// Follows `plan` whole and in pieces of one step, and compares all that is left at the end. Gives the whole run.
pub fn ends_in_the_same_bits(plan: &Plan, dataset: &Arc<dyn Dataset>) -> Piece {
    let folder = tempfile::tempdir().unwrap();
    let whole = run(plan, dataset, folder.path(), None);
    let steps = plan.stages.iter().map(|stage| stage.steps).sum::<u64>();
    assert_eq!((whole.steps, &whole.ended), (steps, &(0..plan.stages.len()).collect()));
    let want = whole.state.as_ref().unwrap();
    let pieces = tempfile::tempdir().unwrap();
    let mut runs = 0;
    let got = loop {
        runs += 1;
        // One step a run, so that every boundary of the plan is crossed by a restart, from both of its sides.
        if let Some(state) = run(plan, dataset, pieces.path(), Some(1)).state {
            break state;
        }
        assert!(runs < 40);
    };
    assert!(runs >= steps, "{runs}");
    assert_eq!(got.student, want.student);
    assert_eq!(got.inference.flat, want.inference.flat);
    assert_eq!(
        got.self_teacher.map(|own| own.flat),
        want.self_teacher.as_ref().map(|own| own.flat.shallow_clone())
    );
    assert_eq!(got.teacher, want.teacher);
    assert_eq!(got.adam.v, want.adam.v);
    assert_eq!(got.adam.steps, want.adam.steps);
    whole
}
