//! Batches made ahead of time in the background.
//!
//! One thread makes the batches of a run in order and hands them over a channel that holds a few; training takes them
//! out. Since a batch is a function of its sample numbers, prefetching changes when it is made and nothing else.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use fewstep_data::{Dataset, Order};
use fewstep_distill::Batch;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};
use crate::loader::{DrawConfig, make_batch};

/// The batches of a run from some sample number on. Dropping it stops its thread.
#[derive(Debug)]
pub struct Prefetch {
    /// `None` once the batches have ended.
    batches: Option<Receiver<Result<Batch>>>,
    worker: Option<JoinHandle<()>>,
}

impl Prefetch {
    /// Starts to make the batches `first..first + batch_size`, `first + batch_size..`, and so on without end; up to
    /// `depth` of them wait to be taken while one more is being made.
    ///
    /// # Errors
    /// An empty data set, [`Error::Thread`] when no thread can be had. What is wrong with a batch
    /// is reported by [`Prefetch::next_batch`].
    pub fn start(
        dataset: Arc<dyn Dataset>,
        draws: DrawConfig,
        batch_size: usize,
        first: u64,
        depth: usize,
    ) -> Result<Self> {
        let order = draws.order(&*dataset)?;
        let pool = pool()?;
        let (sender, batches) = sync_channel(depth);
        let run = Run { dataset, order, draws, batch_size };
        let worker = thread::Builder::new()
            .name("prefetch".to_owned())
            .spawn(move || run.send_from(first, &pool, &sender))
            .map_err(|source| Error::Thread { source })?;
        Ok(Self { batches: Some(batches), worker: Some(worker) })
    }

    /// The next batch, waiting for it if need be.
    ///
    /// # Errors
    /// Those of [`make_batch`], once; [`Error::Panicked`] if the data set panicked; [`Error::Ended`] in every later call.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let batches = self.batches.as_ref().ok_or(Error::Ended)?;
        let next = batches.recv().unwrap_or_else(|_| Err(self.why_it_ended()));
        if next.is_err() {
            self.batches = None;
        }
        next
    }

    /// Why the worker left without a word.
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
            // A panic has been printed by then, and there is nobody left to hand it to.
            let _ = worker.join();
        }
    }
}

/// The worker's part.
struct Run {
    dataset: Arc<dyn Dataset>,
    order: Order,
    draws: DrawConfig,
    batch_size: usize,
}

impl Run {
    fn send_from(&self, mut first: u64, pool: &ThreadPool, sender: &SyncSender<Result<Batch>>) {
        loop {
            let batch =
                pool.install(|| make_batch(&*self.dataset, &self.order, &self.draws, first, self.batch_size));
            let ended = batch.is_err();
            if sender.send(batch).is_err() || ended {
                return;
            }
            // That batch exists, so its last number did; past the last of all, the next batch is an error.
            first = first.saturating_add(self.batch_size as u64);
        }
    }
}

/// Threads of its own: in the global pool a batch would wait for the training step it is meant to overlap, and a step
/// that waits for its batch on the only thread of that pool would wait for ever.
fn pool() -> Result<ThreadPool> {
    let n_threads = thread::available_parallelism().map_or(1, |n| n.get() / 2).clamp(1, 8);
    ThreadPoolBuilder::new()
        .num_threads(n_threads)
        .thread_name(|i| format!("prefetch-{i}"))
        .build()
        .map_err(|error| Error::Thread { source: std::io::Error::other(error) })
}
