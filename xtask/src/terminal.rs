//! What a fetch says on standard error: its lines, and how far a long transfer is, in one line that is rewritten on a terminal
//! and in a line every two seconds elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use fewstep_fetch::{Listener, Transfer};

/// Standard error.
pub(crate) struct Terminal;

impl Listener for Terminal {
    fn info(&self, line: &str) {
        eprintln!("{line}");
    }

    fn warn(&self, line: &str) {
        eprintln!("{line}");
    }

    fn transfer(&self, what: &str, total: Option<u64>) -> Box<dyn Transfer> {
        Box::new(Progress::new(what, total))
    }
}

/// Says `what: 12 of 530 MB`.
struct Progress {
    what: String,
    total: Option<u64>,
    terminal: bool,
    last: Instant,
    said: bool,
}

impl Progress {
    fn new(what: &str, total: Option<u64>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { what: what.to_owned(), total, terminal, last: Instant::now(), said: false }
    }

    fn say(&mut self, bytes: u64) {
        self.last = Instant::now();
        self.said = true;
        let line = line(&self.what, bytes, self.total);
        if self.terminal {
            // Blanks cover what a longer line before this one left.
            eprint!("\r  {line}   ");
            // A terminal that went away is no reason to stop.
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("  {line}");
        }
    }
}

impl Transfer for Progress {
    fn at(&mut self, bytes: u64) {
        let pause = Duration::from_millis(if self.terminal { 100 } else { 2000 });
        if self.last.elapsed() >= pause {
            self.say(bytes);
        }
    }

    /// What was too quick to be mentioned needs no last word.
    fn finish(mut self: Box<Self>, bytes: u64) {
        if self.said {
            self.say(bytes);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.said && self.terminal {
            eprintln!();
        }
    }
}

fn line(what: &str, bytes: u64, total: Option<u64>) -> String {
    let mb = |bytes: u64| bytes / 1_000_000;
    match total {
        Some(total) => format!("{what}: {} of {} MB", mb(bytes), mb(total)),
        None => format!("{what}: {} MB", mb(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_and_how_much() {
        assert_eq!(line("unpacking", 12_600_000, Some(530_000_000)), "unpacking: 12 of 530 MB");
        assert_eq!(line("downloading", 999_999, None), "downloading: 0 MB");
    }
}
