//! Batches made ahead of time in the background.
//!
//! One thread makes the batches of a run in order and sends them through a bounded channel, from which training takes
//! them. A batch is a function of its sample numbers, so prefetching only changes when it is made.

use std::{
    ops::Range,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use fewstep_data::{Dataset, Order};
use fewstep_distill::Batch;
use fewstep_torch::Device;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};
use crate::loader::{DrawConfig, make_batch};

/// The batches of a run, starting at some sample number. Dropping it stops its thread.
#[derive(Debug)]
pub struct Prefetch {
    /// `None` after an error.
    batches: Option<Receiver<Result<Batch>>>,
    worker: Option<JoinHandle<()>>,
}

impl Prefetch {
    /// Starts to make consecutive batches of `batch_size` samples from sample `first` on, without end. Up to `depth`
    /// batches wait in the channel while the next is being made.
    ///
    /// # Errors
    /// [`Error::Data`] for an empty data set, [`Error::Thread`] if no thread can be started. [`Prefetch::next_batch`]
    /// returns the errors of batches.
    pub fn start(
        dataset: Arc<dyn Dataset>,
        draws: DrawConfig,
        batch_size: usize,
        first: u64,
        depth: usize,
    ) -> Result<Self> {
        Self::start_for(Device::Cpu, dataset, draws, (batch_size, 0..batch_size), first, depth)
    }

    /// The same where only `part` of every batch is made, these positions of it, and for batches that go to a device: those
    /// for a GPU lie in pinned memory, which it reads by itself.
    ///
    /// # Errors
    /// As [`Prefetch::start`].
    pub fn start_for(
        device: Device,
        dataset: Arc<dyn Dataset>,
        draws: DrawConfig,
        (batch_size, part): (usize, Range<usize>),
        first: u64,
        depth: usize,
    ) -> Result<Self> {
        let order = draws.order(&*dataset)?;
        let pool = pool()?;
        let (sender, batches) = sync_channel(depth);
        let run = Run { device, dataset, order, draws, batch_size, part };
        let worker = thread::Builder::new()
            .name("prefetch".to_owned())
            .spawn(move || run.send_from(first, &pool, &sender))
            .map_err(|source| Error::Thread { source })?;
        Ok(Self { batches: Some(batches), worker: Some(worker) })
    }

    /// Waits for the next batch and returns it.
    ///
    /// # Errors
    /// Those of [`make_batch`]; [`Error::Panicked`] if the data set panicked; [`Error::Ended`] in every call after an
    /// error.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let batches = self.batches.as_ref().ok_or(Error::Ended)?;
        let next = batches.recv().unwrap_or_else(|_| Err(self.why_it_ended()));
        if next.is_err() {
            self.batches = None;
        }
        next
    }

    /// Why the worker ended without sending an error.
    fn why_it_ended(&mut self) -> Error {
        let Some(Err(panic)) = self.worker.take().map(JoinHandle::join) else { return Error::Ended };
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned();
        Error::Panicked { message }
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        // Without a receiver the worker's send fails at once, so it ends after the batch it is making.
        self.batches = None;
        if let Some(worker) = self.worker.take() {
            // A panic has already been printed, and `drop` cannot return it.
            let _ = worker.join();
        }
    }
}

/// The worker's state.
struct Run {
    device: Device,
    dataset: Arc<dyn Dataset>,
    order: Order,
    draws: DrawConfig,
    batch_size: usize,
    /// Positions of a batch that are made.
    part: Range<usize>,
}

impl Run {
    fn send_from(&self, mut first: u64, pool: &ThreadPool, sender: &SyncSender<Result<Batch>>) {
        loop {
            let (from, n) = (first.saturating_add(self.part.start as u64), self.part.len());
            let batch = pool.install(|| make_batch(&*self.dataset, &self.order, &self.draws, from, n));
            let batch = batch.map(|batch| match self.device {
                // Without pinned memory the copy takes longer, and that is all.
                Device::Cuda(_) => batch.pinned(self.device).unwrap_or(batch),
                _ => batch,
            });
            let ended = batch.is_err();
            if sender.send(batch).is_err() || ended {
                return;
            }
            // The batch exists, so its last number fits into u64; if the next one does not, the next batch is an error.
            first = first.saturating_add(self.batch_size as u64);
        }
    }
}

/// A separate pool: in the global pool, a batch would wait for the training step that it should overlap, and a step that
/// waits for its batch on the pool's only thread would wait forever. It has half the threads of the caller's pool, which
/// knows whether other workers share the machine.
fn pool() -> Result<ThreadPool> {
    let n_threads = (rayon::current_num_threads() / 2).clamp(1, 8);
    ThreadPoolBuilder::new()
        .num_threads(n_threads)
        .thread_name(|i| format!("prefetch-{i}"))
        .build()
        .map_err(|error| Error::Thread { source: std::io::Error::other(error) })
}
