//! How far a pass over images or a transfer is: a bar, or plain lines where no bar can be drawn.

use std::time::{Duration, Instant};

use anyhow::Result;
use fewstep_fetch::Transfer;
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

/// Progress of a transfer, of so many bytes if that is known.
pub(crate) struct TransferProgress {
    bar: ProgressBar,
    what: String,
    last_plain: Instant,
}

impl TransferProgress {
    pub(crate) fn new(bars: &MultiProgress, what: &str, total: Option<u64>) -> Self {
        let style = match total {
            Some(_) => "{msg} [{bar:30}] {bytes} of {total_bytes}, {eta} left",
            None => "{msg}: {bytes}",
        };
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let bar = bars.add(bar).with_message(what.to_owned());
        // A style that cannot be read is the usual one.
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        Self { bar, what: what.to_owned(), last_plain: Instant::now() }
    }
}

impl Transfer for TransferProgress {
    fn at(&mut self, bytes: u64) {
        self.bar.set_position(bytes);
        if self.bar.is_hidden() && self.last_plain.elapsed() >= PLAIN_EVERY {
            self.last_plain = Instant::now();
            let of = self.bar.length().map_or_else(String::new, |all| format!(" of {}", all / 1_000_000));
            tracing::info!("{}: {}{of} MB", self.what, bytes / 1_000_000);
        }
    }

    fn finish(self: Box<Self>, bytes: u64) {
        self.bar.set_position(bytes);
    }
}

impl Drop for TransferProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Seconds in words.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0} seconds") } else { format!("{:.0} minutes", seconds / 60.0) }
}
