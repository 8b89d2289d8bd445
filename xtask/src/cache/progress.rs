//! How far a long transfer is: one line that is rewritten on a terminal, a line every two seconds elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Says `what: 12 of 530 MB` on standard error.
pub(crate) struct Progress {
    what: String,
    total: Option<u64>,
    terminal: bool,
    last: Instant,
    said: bool,
}

impl Progress {
    pub(crate) fn new(what: impl Into<String>, total: Option<u64>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { what: what.into(), total, terminal, last: Instant::now(), said: false }
    }

    /// `bytes` are done.
    pub(crate) fn at(&mut self, bytes: u64) {
        let pause = Duration::from_millis(if self.terminal { 100 } else { 2000 });
        if self.last.elapsed() >= pause {
            self.say(bytes);
        }
    }

    /// All is done; what was too quick to be mentioned needs no last word.
    pub(crate) fn finish(mut self, bytes: u64) {
        if self.said {
            self.say(bytes);
        }
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
