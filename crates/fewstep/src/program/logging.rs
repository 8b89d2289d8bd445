//! Logs on stderr, above the progress bars.

use std::io::{self, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::time::Uptime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging and returns where progress bars are drawn. `RUST_LOG` chooses more. A worker other than the first is quiet and
/// says its rank in every line.
pub(crate) fn init(quiet: bool, rank: usize) -> MultiProgress {
    let quiet = quiet || rank > 0;
    let prefix = if rank > 0 { format!("[rank {rank}] ") } else { String::new() };
    let bars = MultiProgress::new();
    if quiet {
        bars.set_draw_target(ProgressDrawTarget::hidden());
    }
    let default = if quiet { LevelFilter::WARN } else { LevelFilter::INFO };
    let asked = std::env::var("RUST_LOG").ok().and_then(|asked| asked.parse::<Targets>().ok());
    let writer = bars.clone();
    let lines = tracing_subscriber::fmt::layer()
        .with_timer(Uptime::default())
        .with_target(false)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        // What cannot be logged is lost: a closed terminal or a full disk must not end the run that wanted to say so.
        .log_internal_errors(false)
        .with_writer(move || AboveBars(writer.clone(), prefix.clone()));
    let filter = asked.unwrap_or_else(|| Targets::new().with_default(default));
    tracing_subscriber::registry().with(lines).with(filter).init();
    bars
}

/// Lifts the bars while a line is written, after a prefix.
struct AboveBars(MultiProgress, String);

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let whole = [self.1.as_bytes(), line].concat();
        self.0.suspend(|| io::stderr().write_all(&whole))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
