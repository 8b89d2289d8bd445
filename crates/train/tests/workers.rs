//! Several workers train the same model as one, and stop and resume together. They are threads here, which meet over the
//! loopback as processes do; the tests of the program start processes.
#![allow(missing_docs, clippy::unwrap_used)]

mod setting;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fewstep_data::Dataset;
use fewstep_torch::{Compute, Device, Kind, StoreHost, Tensor, Timeouts, Workers};
use fewstep_train::{
    CheckpointStore, Error, Observer, Outcome, Plan, Progress, Result, Share, StepReport, TrainState,
    Trainer, hand_out,
};
use setting::{Setting, dataset};

const TIMEOUTS: Timeouts = Timeouts { join: Duration::from_secs(20), reply: Duration::from_secs(20) };

/// Runs `work` on so many workers; what each returned.
fn each<T: Send>(size: usize, work: impl Fn(&Workers) -> T + Sync) -> Vec<T> {
    let host = StoreHost::start().unwrap();
    std::thread::scope(|scope| {
        let start = |rank| {
            let (place, work) = (host.place(rank, size), &work);
            scope.spawn(move || work(&Workers::join(&place, TIMEOUTS).unwrap()))
        };
        let workers: Vec<_> = (0..size).map(start).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    })
}

/// Asks to stop after a number of its own steps; keeps the losses.
struct Watch<'a> {
    stop: &'a AtomicBool,
    stop_after: Option<usize>,
    losses: Vec<f64>,
}

impl Observer for Watch<'_> {
    fn on_step(&mut self, _: &Progress, report: &StepReport) -> Result<()> {
        self.losses.push(report.loss);
        if Some(self.losses.len()) == self.stop_after {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// What a worker ended with.
struct Ended {
    /// If the run is done.
    state: Option<TrainState>,
    losses: Vec<f64>,
}

/// Follows `plan` from where `folder` has it, as one worker; `stops` says which rank asks to stop, and after which of its steps.
fn follow(workers: &Workers, plan: &Plan, folder: &Path, stops: Option<(usize, usize)>) -> Result<Ended> {
    let (store, found) = if workers.is_first() {
        let store = CheckpointStore::open(folder, "plan", 2)?;
        let fresh = || {
            let network = plan.stages[0].network.as_ref();
            TrainState::fresh(network, plan.seed, plan.adam, plan.compute.student, Device::Cpu)
        };
        let found =
            store.load_newest(plan, Device::Cpu)?.map_or_else(fresh, |restored| Ok(restored.state))?;
        (store, Some(found))
    } else {
        (CheckpointStore::of_rank_0(folder, "plan"), None)
    };
    let state = hand_out(workers, found, plan, Device::Cpu)?;
    let stop = AtomicBool::new(false);
    let stop_after = stops.filter(|(rank, _)| *rank == workers.rank()).map(|(_, steps)| steps);
    let mut watch = Watch { stop: &stop, stop_after, losses: Vec::new() };
    let trainer = Trainer { plan, store: &store, device: Device::Cpu };
    let outcome = trainer.run_among(workers, state, &data(), &stop, &mut watch)?;
    let state = if let Outcome::Finished(state) = outcome { Some(state) } else { None };
    Ok(Ended { state, losses: watch.losses })
}

fn data() -> std::sync::Arc<dyn Dataset> {
    dataset()
}

/// Three stages of so many steps, in batches of 6 and micro-batches of 2; TRACT's phases ask teacher and self-teacher.
fn plan(steps: u64, compute: Compute) -> Plan {
    Plan { compute: compute.into(), micro_batch: 2, ..Setting::new(8, 2).plan(steps) }
}

/// The whole run by so many workers; the state of each.
fn whole(size: usize, plan: &Plan, folder: &Path) -> Vec<Ended> {
    each(size, |workers| follow(workers, plan, folder, None).unwrap())
}

fn difference(a: &Tensor, b: &Tensor) -> f64 {
    let largest = b.abs().max().double_value(&[]);
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max().double_value(&[]) / largest
}

#[test]
fn two_and_three_workers_train_the_model_of_one() {
    // 51 steps; the rounding of sums in another order grows with them. A bias before a normalisation has a gradient of zero but for
    // that rounding, which Adam with its usual epsilon would scale up to whole steps in f32: another `micro_batch` moves such
    // biases as far as another number of workers does, 2e-3 in these steps, and neither moves what the network computes.
    for (compute, tolerance, eps) in [(Compute::F32, 1e-5, 1e-4), (Compute::F64, 1e-10, 1e-8)] {
        let mut plan = plan(17, compute);
        plan.adam.eps = eps;
        let folder = tempfile::tempdir().unwrap();
        let alone = whole(1, &plan, folder.path()).remove(0);
        let one = alone.state.unwrap();
        assert_eq!((one.adam.steps, alone.losses.len()), (34, 51));
        for size in [2, 3] {
            let folder = tempfile::tempdir().unwrap();
            let ended = whole(size, &plan, folder.path());
            let first = ended[0].state.as_ref().unwrap();
            for other in &ended {
                let state = other.state.as_ref().unwrap();
                assert_eq!(state.student, first.student, "all workers hold the same state");
                assert_eq!(state.inference.flat, first.inference.flat);
                assert_eq!(other.losses, ended[0].losses);
            }
            let off = [
                difference(&first.student, &one.student),
                difference(&first.inference.flat, &one.inference.flat),
                difference(first.teacher.as_ref().unwrap(), one.teacher.as_ref().unwrap()),
            ];
            println!("{size} workers, {compute}: off by {off:?}");
            assert!(off.iter().all(|off| *off < tolerance), "{size} workers in {compute}: {off:?}");
            let losses = ended[0].losses.iter().zip(&alone.losses);
            assert!(losses.into_iter().all(|(a, b)| (a - b).abs() < 100.0 * tolerance * b.abs()));
        }
    }
}

#[test]
fn a_run_of_two_interrupted_again_and_again_ends_in_the_same_bytes() {
    let plan = plan(3, Compute::F32);
    let folder = tempfile::tempdir().unwrap();
    let want = whole(2, &plan, folder.path()).remove(0).state.unwrap();
    let pieces = tempfile::tempdir().unwrap();
    let (mut runs, mut steps) = (0, 0);
    let got = loop {
        // The ranks take turns in being asked. The stop is agreed on in the step after.
        let stops = Some((runs % 2, 1));
        let ended = each(2, |workers| follow(workers, &plan, pieces.path(), stops).unwrap());
        assert_eq!(ended[0].losses, ended[1].losses, "both stopped after the same step");
        runs += 1;
        steps += ended[0].losses.len();
        if let Some(state) = ended.into_iter().next().unwrap().state {
            break state;
        }
        assert!(runs < 20);
    };
    assert!(runs > 3, "{runs}");
    assert_eq!(steps, 9);
    assert_eq!(got.student, want.student);
    assert_eq!(got.inference.flat, want.inference.flat);
    assert_eq!(got.adam.v, want.adam.v);
    assert_eq!(got.self_teacher.unwrap().flat, want.self_teacher.unwrap().flat);
}

#[test]
fn another_number_of_workers_goes_on() {
    let plan = plan(4, Compute::F64);
    let folder = tempfile::tempdir().unwrap();
    let want = whole(1, &plan, folder.path()).remove(0).state.unwrap();
    let pieces = tempfile::tempdir().unwrap();
    for (size, after) in [(2, 2), (3, 3)] {
        let ended =
            each(size, |workers| follow(workers, &plan, pieces.path(), Some((0, after))).unwrap().state);
        assert!(ended.iter().all(Option::is_none));
    }
    let got = whole(1, &plan, pieces.path()).remove(0);
    assert!(got.losses.len() < 12 && difference(&got.state.unwrap().student, &want.student) < 1e-10);
}

#[test]
fn a_loss_that_is_not_finite_stops_all_with_the_same_words() {
    let mut plan = plan(5, Compute::F32);
    plan.stages[1].learning_rate.base = 1e30;
    let folder = tempfile::tempdir().unwrap();
    let told = each(2, |workers| follow(workers, &plan, folder.path(), None).err().unwrap().to_string());
    assert!(told[0].contains("not finite in stage `phase 1`"), "{}", told[0]);
    assert_eq!(told[0], told[1]);
}

#[test]
fn more_workers_than_micro_batches_are_refused_with_both_settings() {
    let told = each(3, |workers| Share::of(workers, 8, 4).unwrap_err().to_string());
    let expected = "micro_batch: 3 workers need a micro-batch each, but batch = 8 with micro_batch = 4 makes 2: take a \
                    micro_batch of at most 3, a larger batch, or fewer workers";
    assert_eq!(told, [expected; 3]);
    let parts = each(3, |workers| Share::of(workers, 10, 3).unwrap().part());
    assert_eq!(parts, [0..3, 3..6, 6..10]);
    let told = each(3, |workers| Share::of(workers, 2, 1).unwrap_err().to_string());
    assert!(told[0].contains("a batch of at least 3"), "{}", told[0]);
}

#[test]
fn an_error_of_one_worker_reaches_the_others_and_the_state_is_kept() {
    struct Full;
    impl Observer for Full {
        fn on_step(&mut self, _: &Progress, _: &StepReport) -> Result<()> {
            Err(Error::Observer("no space left".into()))
        }
    }
    let plan = plan(5, Compute::F32);
    let folder = tempfile::tempdir().unwrap();
    let told = each(2, |workers| {
        if workers.is_first() {
            return follow(workers, &plan, folder.path(), None).err().unwrap().to_string();
        }
        let store = CheckpointStore::of_rank_0(folder.path(), "plan");
        let state = hand_out(workers, None, &plan, Device::Cpu).unwrap();
        let trainer = Trainer { plan: &plan, store: &store, device: Device::Cpu };
        let ended = trainer.run_among(workers, state, &data(), &AtomicBool::new(false), &mut Full);
        ended.err().unwrap().to_string()
    });
    assert_eq!(told[1], "no space left");
    assert!(told[0].starts_with("rank 1 stopped: no space left; the state before this step is kept in"));
    // One step was taken by both before.
    assert!(told[0].ends_with("000000000006"), "{}", told[0]);
    assert!(CheckpointStore::open(folder.path(), "plan", 2).unwrap().load_newest(&plan, Device::Cpu).is_ok());
}
