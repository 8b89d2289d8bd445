//! How far a pass over images is: a bar, or plain lines where no bar can be drawn.

use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Time between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(30);

/// Progress over a known number of images. Dropping it removes its bar.
#[derive(Debug)]
pub struct ImageProgress {
    bar: ProgressBar,
    what: String,
    started: Instant,
    last_plain: Instant,
}

impl ImageProgress {
    pub(crate) fn new(bars: &MultiProgress, what: &str, n: u64) -> Result<Self> {
        let style = "{msg} [{bar:30}] {pos}/{len} images, {per_sec}, {eta} left";
        let bar = bars.add(ProgressBar::new(n)).with_message(what.to_owned());
        bar.set_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
        let started = Instant::now();
        Ok(Self { bar, what: what.to_owned(), started, last_plain: started })
    }

    /// `n` more are done.
    pub fn add(&mut self, n: usize) {
        self.bar.inc(n as u64);
        if self.bar.is_hidden() && self.last_plain.elapsed() >= PLAIN_EVERY {
            self.last_plain = Instant::now();
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
            let left = self.left(done, all);
            tracing::info!("{}: {done} of {all} images, about {} left", self.what, duration(left));
        }
    }

    /// Seconds that the rest takes at the speed so far.
    pub fn left(&self, done: u64, all: u64) -> f64 {
        self.started.elapsed().as_secs_f64() * all.saturating_sub(done) as f64 / done.max(1) as f64
    }
}

impl Drop for ImageProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Seconds in words.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0} seconds") } else { format!("{:.0} minutes", seconds / 60.0) }
}
