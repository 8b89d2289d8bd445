//! What is counted of memory is what training takes.
#![allow(missing_docs, clippy::unwrap_used)]

mod setting;

use fewstep_torch::{Device, GradientRule, metered};
use fewstep_train::{CheckpointStore, Plan, StageStart, StepSettings, train_step};
use setting::{Setting, plan};

/// TRACT on the setting's network, in batches of 12 and micro-batches of `micro_batch`.
fn tract(s: &Setting, micro_batch: usize) -> Plan {
    Plan { batch: 12, micro_batch, ..plan(vec![s.distillation(StageStart::FromTeacher)]) }
}

#[test]
fn a_state_has_the_bytes_that_are_counted() {
    let s = Setting::new(8, 4);
    let dir = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(dir.path(), "plan", 1).unwrap();
    let path = store.save(&s.state(), 1, None).unwrap();
    let file = std::fs::metadata(path.join("state.safetensors")).unwrap().len();
    let flat = 4 * s.network.layout().total() as u64;
    let need = tract(&s, 4).buffers(Device::Cpu, 2);
    assert_eq!(need.state, 6 * flat);
    assert!((need.state..need.state + 2000).contains(&file), "{file}");
    // Three micro-batches on two threads: one gradient may wait while two run, and there is their sum.
    assert_eq!((need.running, need.gradients, need.each), (2, 2 * flat, None));
    let one_after_another = tract(&s, 12).buffers(Device::Cpu, 2);
    assert_eq!((one_after_another.running, one_after_another.gradients), (1, 0));
    assert_eq!(tract(&s, 4).buffers(Device::Cuda(0), 2).gradients, flat, "one at a time");
}

#[test]
fn a_trial_on_three_images_tells_what_twelve_take() {
    let s = Setting::new(8, 12);
    let plan = tract(&s, 12);
    let need = plan.need(Device::Cpu, 1).unwrap();
    let counted = need.each.unwrap();
    let settings = StepSettings {
        micro_batch: 12,
        dropout: plan.stages[0].dropout,
        gradient: GradientRule::Keep,
        ..s.settings()
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let (mut state, batch) = (s.state(), s.batch(12));
    let taken = pool.install(move || {
        let (report, curve) = metered(|| train_step(&settings, &mut state, &batch).unwrap()).unwrap();
        assert!(report.applied);
        curve.most()
    });
    let ratio = taken as f64 / counted as f64;
    assert!((0.98..1.1).contains(&ratio), "counted {counted}, taken {taken}");
}
