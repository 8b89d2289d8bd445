//! The `doctor` command.

use std::process::ExitCode;

use anyhow::Result;
use fewstep::doctor::{Finding, examine};

use super::stdout::say;

/// The `doctor` command: fails only where the program cannot work.
pub(crate) fn run() -> Result<ExitCode> {
    let findings = examine();
    for finding in &findings {
        say(finding)?;
    }
    let works = !findings.iter().any(Finding::is_fatal);
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
