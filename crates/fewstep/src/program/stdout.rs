//! What a command prints: for people and for pipes.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};

/// Prints a line, or several. A reader that has had enough, such as `head`, is no error.
///
/// # Errors
/// Standard output cannot be written, as where it leads to a full disk.
pub(crate) fn say(text: impl Display) -> Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output"),
    }
}
