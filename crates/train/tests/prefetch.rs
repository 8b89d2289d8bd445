//! Prefetched batches equal those of `make_batch`, errors arrive, and nothing hangs.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use fewstep_data::{Dataset, ImageShape, InMemory, digits};
use fewstep_distill::Batch;
use fewstep_train::{DrawConfig, Error, Prefetch, make_batch};

const DRAWS: DrawConfig = DrawConfig { seed: 11, stage: 1, flip: true };

/// A failure of a data set while it is read.
enum Fault {
    None,
    Error,
    Panic,
}

/// The digits, with a counter of reads and a fault from read number `good` on.
struct Faulty {
    digits: InMemory,
    reads: AtomicUsize,
    good: usize,
    fault: Fault,
}

impl Faulty {
    fn new(good: usize, fault: Fault) -> Arc<Self> {
        Arc::new(Self { digits: digits().unwrap(), reads: AtomicUsize::new(0), good, fault })
    }
}

impl Dataset for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }
    fn len(&self) -> usize {
        self.digits.len()
    }
    fn shape(&self) -> ImageShape {
        self.digits.shape()
    }
    fn n_classes(&self) -> usize {
        self.digits.n_classes()
    }
    fn label(&self, i: usize) -> Option<usize> {
        self.digits.label(i)
    }
    fn read(&self, i: usize, out: &mut [u8]) -> fewstep_data::Result<()> {
        let n_reads = self.reads.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::Error if n_reads >= self.good => Err(fewstep_data::Error::Dataset {
                name: "faulty".to_owned(),
                source: "the disk is gone".into(),
            }),
            Fault::Panic if n_reads >= self.good => panic!("image {i} is cursed"),
            _ => self.digits.read(i, out),
        }
    }
}

fn same(a: &Batch, b: &Batch) -> bool {
    let labels = a.labels.as_ref().unwrap() == b.labels.as_ref().unwrap();
    a.draws == b.draws && a.x0 == b.x0 && a.noise == b.noise && labels
}

#[test]
fn the_batches_are_those_of_make_batch_from_any_first_sample() {
    let data: Arc<dyn Dataset> = Arc::new(digits().unwrap());
    let order = DRAWS.order(&*data).unwrap();
    // 1797 images: batches of 100 cross the ends of epochs.
    for (first, depth) in [(0, 0), (1700, 1), (123_456, 4)] {
        let mut prefetch = Prefetch::start(Arc::clone(&data), DRAWS, 100, first, depth).unwrap();
        for k in 0..5 {
            let got = prefetch.next_batch().unwrap();
            let want = make_batch(&*data, &order, &DRAWS, first + 100 * k, 100).unwrap();
            assert!(same(&got, &want), "batch {k} from {first}");
            assert!(!same(&got, &make_batch(&*data, &order, &DRAWS, first + 100 * k + 1, 100).unwrap()));
        }
    }
}

#[test]
fn no_more_batches_are_made_than_depth_allows() {
    let data = Faulty::new(0, Fault::None);
    let mut prefetch = Prefetch::start(data.clone(), DRAWS, 8, 0, 2).unwrap();
    prefetch.next_batch().unwrap();
    // One taken, two in the channel, one held by the worker. A busy machine may need a while to get there.
    let reads = || data.reads.load(Ordering::SeqCst);
    let end = Instant::now() + Duration::from_secs(60);
    while reads() < 4 * 8 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(reads(), 4 * 8);
    drop(prefetch);
    assert_eq!(Arc::strong_count(&data), 1, "dropping it stopped and joined the worker");
}

#[test]
fn an_error_arrives_once_after_the_batches_before_it() {
    let mut prefetch = Prefetch::start(Faulty::new(20, Fault::Error), DRAWS, 10, 0, 3).unwrap();
    assert!(prefetch.next_batch().is_ok() && prefetch.next_batch().is_ok());
    let error = prefetch.next_batch().unwrap_err();
    assert!(error.to_string().ends_with("the disk is gone"), "{error}");
    for _ in 0..3 {
        assert!(matches!(prefetch.next_batch(), Err(Error::Ended)));
    }
}

#[test]
fn a_panic_arrives_as_an_error() {
    let mut prefetch = Prefetch::start(Faulty::new(20, Fault::Panic), DRAWS, 10, 0, 3).unwrap();
    assert!(prefetch.next_batch().is_ok() && prefetch.next_batch().is_ok());
    let error = prefetch.next_batch().unwrap_err();
    assert!(matches!(&error, Error::Panicked { message } if message.ends_with("is cursed")), "{error}");
    assert!(matches!(prefetch.next_batch(), Err(Error::Ended)));
}

#[test]
fn the_end_of_the_numbers_is_an_error() {
    let data = Arc::new(digits().unwrap());
    let mut prefetch = Prefetch::start(data, DRAWS, 10, u64::MAX - 25, 1).unwrap();
    assert_eq!(prefetch.next_batch().unwrap().draws.ns()[0], u64::MAX - 25);
    assert_eq!(prefetch.next_batch().unwrap().draws.ns()[0], u64::MAX - 15);
    assert!(matches!(prefetch.next_batch(), Err(Error::Data(fewstep_data::Error::Invalid { .. }))));
}

#[test]
fn a_prefetch_that_nobody_reads_can_be_dropped() {
    for depth in [0, 1, 5] {
        drop(Prefetch::start(Faulty::new(0, Fault::None), DRAWS, 10, 0, depth).unwrap());
        drop(Prefetch::start(Faulty::new(0, Fault::Error), DRAWS, 10, 0, depth).unwrap());
    }
}

#[test]
fn it_does_not_need_the_threads_that_wait_for_it() {
    let prefetch = Prefetch::start(Arc::new(digits().unwrap()), DRAWS, 10, 0, 1).unwrap();
    let prefetch = Mutex::new(prefetch);
    // All threads of the global pool wait at once, for more batches than are ready.
    let taken =
        rayon::broadcast(|_| (0..6).filter(|_| prefetch.lock().unwrap().next_batch().is_ok()).count());
    assert_eq!(taken, vec![6; rayon::current_num_threads()]);
}
