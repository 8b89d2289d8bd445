//! Checkpoints and resuming: an interrupted run ends in the same bytes, damage is passed over, nothing is lost.
#![allow(missing_docs, clippy::unwrap_used)]

mod pieces;
mod setting;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use fewstep_torch::{Compute, Device};
use fewstep_train::{CheckpointStore, ComputePolicy, Error, Origin, Plan, TrainState, Trainer};
use pieces::{Watch, ends_in_the_same_bits};
use setting::{Setting, dataset};

/// The whole run of a setting.
fn run(s: &Setting, folder: &Path) -> TrainState {
    pieces::run(&s.plan(5), &dataset(), folder, None).state.unwrap()
}

fn checkpoints(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    found.sort();
    found
}

#[test]
fn a_run_interrupted_at_every_step_ends_in_the_same_bits() {
    let whole = ends_in_the_same_bits(&Setting::new(8, 4).plan(5), &dataset());
    assert_eq!((whole.steps, whole.ended), (15, vec![0, 1, 2]));
    let state = whole.state.unwrap();
    assert!(state.self_teacher.is_some() && state.teacher.is_some());
}

#[test]
fn so_does_one_in_every_kind_of_this_machine() {
    for &compute in Compute::supported(Device::Cpu) {
        let mixed = ComputePolicy { frozen: compute, sampling: compute, ..Compute::F32.into() };
        for policy in [compute.into(), mixed].into_iter().filter(|policy| policy.validate().is_ok()) {
            let plan = Plan { compute: policy, ..Setting::new(8, 4).plan(2) };
            let whole = ends_in_the_same_bits(&plan, &dataset());
            assert_eq!((whole.steps, whole.ended), (6, vec![0, 1, 2]), "{policy}");
        }
    }
}

#[test]
fn so_does_one_with_a_smaller_student() {
    for phase in [1, 2] {
        let s = Setting::new(8, 4).with_smaller_student(8, phase);
        let (teacher, student) = (s.network.n_params(), s.student.as_ref().unwrap().1.n_params());
        assert!(student < teacher, "{student} {teacher}");
        let whole = ends_in_the_same_bits(&s.plan(5), &dataset());
        assert_eq!((whole.steps, whole.ended), (15, vec![0, 1, 2]));
        let state = whole.state.unwrap();
        assert!(state.self_teacher.is_some() && state.teacher.is_some());
    }
}

#[test]
fn the_last_checkpoints_are_kept_and_a_damaged_one_is_passed_over() {
    let s = Setting::new(8, 4);
    let dir = tempfile::tempdir().unwrap();
    let (plan, want) = (s.plan(5), run(&s, dir.path()));
    let kept = checkpoints(dir.path());
    assert_eq!(kept.len(), 2, "{kept:?}");
    let newest = kept[1].join("state.safetensors");
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&newest, &bytes).unwrap();
    let store = CheckpointStore::open(dir.path(), "plan", 2).unwrap();
    let restored = store.load_newest(&plan, Device::Cpu).unwrap().unwrap();
    assert_eq!(restored.path, kept[0]);
    assert!(
        restored.passed_over[0].contains("sha256") && restored.passed_over[0].contains("state.safetensors")
    );
    // Going on from the older one ends in the same state, and the damaged one is replaced.
    assert_eq!(run(&s, dir.path()).student, want.student);
    let restored = store.load_newest(&plan, Device::Cpu).unwrap().unwrap();
    assert!(restored.passed_over.is_empty());

    for folder in checkpoints(dir.path()) {
        std::fs::write(folder.join("manifest.json"), "{").unwrap();
    }
    let e = store.load_newest(&plan, Device::Cpu).unwrap_err().to_string();
    assert!(e.contains("no intact checkpoint") && e.contains("manifest.json"), "{e}");
    assert_eq!(checkpoints(dir.path()).len(), 2, "nothing is deleted");
}

#[test]
fn a_checkpoint_of_another_origin_says_what_differs() {
    let s = Setting::new(8, 4);
    let dir = tempfile::tempdir().unwrap();
    let open = |fingerprint: &str, data: &str| {
        let parts = [("config", "c"), ("data", data)].map(|(what, digest)| (what.into(), digest.into()));
        let origin = Origin { fingerprint: fingerprint.to_owned(), parts: parts.into() };
        CheckpointStore::open(dir.path(), origin, 2).unwrap()
    };
    let load = |store: CheckpointStore| store.load_newest(&s.plan(5), Device::Cpu).map(Option::unwrap);
    open("one", "a").save(&s.state(), 1, Some("{\"loss\":0.1}")).unwrap();
    assert_eq!(load(open("one", "a")).unwrap().memory.as_deref(), Some("{\"loss\":0.1}"));
    let e = load(open("two", "b")).unwrap_err().to_string();
    assert!(e.contains("another data (digest a there, b here)") && !e.contains("config"), "{e}");
    // A checkpoint of an earlier version tells no parts, and has no memory.
    let store = CheckpointStore::open(dir.path(), "old", 2).unwrap();
    store.save(&s.state(), 2, None).unwrap();
    assert_eq!(load(open("old", "b")).unwrap().memory, None);
    let e = load(open("two", "b")).unwrap_err().to_string();
    assert!(e.contains("another config"), "{e}");
}

#[test]
fn truncated_missing_and_foreign_checkpoints_are_named() {
    let s = Setting::new(8, 4);
    let dir = tempfile::tempdir().unwrap();
    run(&s, dir.path());
    let load = |fingerprint: &str, s: &Setting| {
        let store = CheckpointStore::open(dir.path(), fingerprint, 2).unwrap();
        store.load_newest(&s.plan(5), Device::Cpu)
    };
    let e = load("another plan", &s).unwrap_err().to_string();
    assert!(e.contains("another config"), "{e}");
    let kept = checkpoints(dir.path());
    std::fs::remove_file(kept[1].join("state.safetensors")).unwrap();
    assert!(load("plan", &s).unwrap().unwrap().passed_over[0].contains("state.safetensors"));
    let other = Setting::new(16, 4);
    let e = load("plan", &other).unwrap_err().to_string();
    assert!(e.contains("buffer `student`: expected"), "{e}");
}

#[test]
fn what_an_interrupted_write_leaves_is_removed_and_never_read() {
    let s = Setting::new(8, 4);
    let dir = tempfile::tempdir().unwrap();
    let half = dir.path().join(".tmp-000000000012");
    std::fs::create_dir(&half).unwrap();
    std::fs::write(half.join("state.safetensors"), b"half").unwrap();
    let store = CheckpointStore::open(dir.path(), "plan", 2).unwrap();
    assert!(!half.exists());
    assert!(store.load_newest(&s.plan(5), Device::Cpu).unwrap().is_none());
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_others() {
    let s = Setting::new(8, 4);
    let dir = tempfile::tempdir().unwrap();
    let (plan, state) = (s.plan(5), s.state());
    let store = CheckpointStore::open(dir.path(), "plan", 2).unwrap();
    store.save(&state, 1, None).unwrap();
    // A file stands where the temporary folder must go: as unwritable as a full disk, also for root.
    let block = dir.path().join(".tmp-000000000002");
    std::fs::write(&block, b"").unwrap();
    let e = store.save(&state, 2, None).unwrap_err().to_string();
    assert!(e.contains(".tmp-000000000002"), "{e}");
    std::fs::remove_file(&block).unwrap();
    let restored = store.load_newest(&plan, Device::Cpu).unwrap().unwrap();
    assert!(restored.path.ends_with("000000000001"));
}

#[test]
fn an_observer_s_error_ends_the_run() {
    let s = Setting::new(8, 4);
    let dir = tempfile::tempdir().unwrap();
    let plan = s.plan(5);
    let store = CheckpointStore::open(dir.path(), "plan", 2).unwrap();
    let stop = AtomicBool::new(false);
    let mut watch = Watch { fail: true, ..Watch::new(&stop, None) };
    let trainer = Trainer { plan: &plan, store: &store, device: Device::Cpu };
    let e = trainer.run(s.state(), &dataset(), &stop, &mut watch).unwrap_err();
    assert_eq!(e.to_string(), "full disk");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_state() {
    let s = Setting::new(8, 4);
    let dir = tempfile::tempdir().unwrap();
    let mut plan = s.plan(5);
    plan.stages[1].learning_rate.base = 1e30;
    let store = CheckpointStore::open(dir.path(), "plan", 2).unwrap();
    let stop = AtomicBool::new(false);
    let mut watch = Watch::new(&stop, None);
    let trainer = Trainer { plan: &plan, store: &store, device: Device::Cpu };
    let state = TrainState::fresh(s.network.as_ref(), 1, plan.adam, Compute::F32, Device::Cpu).unwrap();
    let e = trainer.run(state, &dataset(), &stop, &mut watch).unwrap_err();
    let Error::NonFinite { stage, kept, .. } = &e else { panic!("{e}") };
    assert_eq!(stage, "phase 1");
    assert!(e.to_string().contains("not finite") && kept.exists(), "{e}");
    assert!(store.load_newest(&s.plan(5), Device::Cpu).unwrap().is_some());
}
