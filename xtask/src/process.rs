//! Starting other programs: cargo in the checkout, a child that must succeed, and the last one, which this process
//! becomes.

use std::env;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

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
    succeeded(command, status)
}

/// Runs a program to its end and calls `tick` ten times a second meanwhile, for those that do not tell how far they are.
pub(crate) fn run_watched(command: &mut Command, mut tick: impl FnMut()) -> Result<ExitStatus> {
    let mut child = command.spawn().with_context(|| format!("cannot start {}", name(command)))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        tick();
        sleep(Duration::from_millis(100));
    }
}

/// Becomes the program, so that signals and the exit code are its own: a Ctrl-C or SIGTERM meant for training must
/// reach training, which then writes its checkpoint. Returns only when that failed.
pub(crate) fn become_program(command: &mut Command) -> Result<()> {
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", name(command)))
}

pub(crate) fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// The command as a person would type it, for messages.
pub(crate) fn shown(command: &Command) -> String {
    let args = command.get_args().map(OsStr::to_string_lossy);
    std::iter::once(name(command).into()).chain(args).collect::<Vec<_>>().join(" ")
}

/// The program's name without its folder.
pub(crate) fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned()
}

/// Sets a variable unless the user did.
pub(crate) fn default_env(command: &mut Command, name: &str, value: &str) {
    if env::var_os(name).is_none() {
        command.env(name, value);
    }
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

    #[test]
    fn a_watched_child_is_waited_for() {
        let mut command = Command::new("sleep");
        command.arg("0.3");
        let mut ticks = 0;
        let status = run_watched(&mut command, || ticks += 1).unwrap();
        assert!(status.success());
        assert!(ticks >= 2, "{ticks}");
    }
}
