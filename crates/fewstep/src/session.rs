//! How long work shows its progress, how it is asked to stop, and who shares it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use fewstep_torch::Workers;
use indicatif::{MultiProgress, ProgressDrawTarget};

use crate::progress::ImageProgress;

/// Where work shows its progress, a flag that asks it to stop, and the workers who share it. Clones share them.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) bars: MultiProgress,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) workers: Arc<Workers>,
}

impl Session {
    /// Progress on `bars`; whoever sets `stop` ends the work with [`Stopped`], nothing half written.
    pub fn new(bars: MultiProgress, stop: Arc<AtomicBool>) -> Self {
        Self { bars, stop, workers: Arc::new(Workers::alone()) }
    }

    /// The same work as one of several workers, which all do it together.
    #[must_use]
    pub fn among(self, workers: Arc<Workers>) -> Self {
        Self { workers, ..self }
    }

    /// A session that shows nothing and is never asked to stop.
    pub fn quiet() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        Self::new(bars, Arc::new(AtomicBool::new(false)))
    }

    /// Passes unless the work was asked to stop.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn check(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            bail!(Stopped);
        }
        Ok(())
    }

    /// Progress over `n` images.
    ///
    /// # Errors
    /// Never in practice.
    pub fn images(&self, what: &str, n: u64) -> Result<ImageProgress> {
        ImageProgress::new(&self.bars, what, n)
    }
}

/// The error of work that was asked to stop and did, with nothing half written.
#[derive(Debug)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Stopped {}
