//! Signs of life: every worker counts up a number of its own in the store, on a thread and a connection that nothing else
//! uses, so that a worker that computes for long is told from one that is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::shim::{Result, Store};

/// Time between two beats.
pub(super) const BEAT: Duration = Duration::from_millis(500);

/// A worker's heart; it stops when dropped.
#[derive(Debug)]
pub(super) struct Heart {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Set when the store no longer answers.
    lost: Arc<AtomicBool>,
}

fn key(rank: usize) -> String {
    format!("beat/{rank}")
}

/// How often a worker's heart has beaten.
pub(super) fn beats(store: &Store, rank: usize) -> Result<i64> {
    store.add(&key(rank), 0)
}

impl Heart {
    pub(super) fn start(store: Store, rank: usize) -> std::io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let lost = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&lost);
        let beat = move || {
            let key = key(rank);
            loop {
                if store.add(&key, 1).is_err() {
                    flag.store(true, Ordering::Relaxed);
                    return;
                }
                if stopped.recv_timeout(BEAT) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("heart".to_owned()).spawn(beat)?;
        Ok(Self { stop: Some(stop), thread: Some(thread), lost })
    }

    /// Whether the store no longer answers.
    pub(super) fn lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic, and `drop` could not tell.
            let _ = thread.join();
        }
    }
}
