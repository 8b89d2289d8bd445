//! How long work shows its progress, and how it is asked to stop.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use indicatif::{MultiProgress, ProgressDrawTarget};

use crate::progress::ImageProgress;

/// Where work shows its progress, and a flag that asks it to stop. Clones share both.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) bars: MultiProgress,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Session {
    /// Progress on `bars`; whoever sets `stop` ends the work with [`Stopped`], nothing half written.
    pub fn new(bars: MultiProgress, stop: Arc<AtomicBool>) -> Self {
        Self { bars, stop }
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
