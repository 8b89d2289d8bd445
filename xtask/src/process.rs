//! Starting other programs: cargo in the checkout, a child that must succeed, and the last one, which this process
//! becomes.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use fewstep_fetch::process::{name, succeeded};

use crate::checkout::Checkout;

/// The cargo that started us, in the checkout's root: there it finds `.cargo/config.toml`, wherever we were started.
pub(crate) fn cargo(checkout: &Checkout) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&checkout.root);
    command
}

/// Runs a program to its end.
///
/// # Errors
/// It could not be started, or did not succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", name(command)))?;
    Ok(succeeded(command, status)?)
}

/// Becomes the program, so that signals and the exit code are its own: a Ctrl-C or SIGTERM meant for training must
/// reach training, which then writes its checkpoint. Returns only when that failed.
pub(crate) fn become_program(command: &mut Command) -> Result<()> {
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", name(command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_the_status() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exit 3"]);
        let error = run(&mut command).unwrap_err().to_string();
        assert!(error.contains("`sh -c exit 3`") && error.contains('3'), "{error}");
    }
}
