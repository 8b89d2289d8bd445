//! Starting other programs: one that is watched until it ends, its name and its words for messages.

use std::env;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::Duration;

use crate::error::{Error, Result};

/// Runs a program to its end and calls `tick` ten times a second meanwhile, for those that do not tell how far they are.
pub(crate) fn run_watched(command: &mut Command, mut tick: impl FnMut()) -> Result<ExitStatus> {
    let mut child = command.spawn().map_err(|source| match source.kind() {
        ErrorKind::NotFound => Error::NotInstalled { program: name(command) },
        _ => Error::Process { operation: "start", program: name(command), source },
    })?;
    loop {
        let waited = child.try_wait();
        if let Some(status) = waited.map_err(|source| Error::Process {
            operation: "wait for",
            program: name(command),
            source,
        })? {
            return Ok(status);
        }
        tick();
        sleep(Duration::from_millis(100));
    }
}

/// Whether a program that ended did what it was to do.
///
/// # Errors
/// [`Error::Failed`] with the command as a person would type it.
pub fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    match status.success() {
        true => Ok(()),
        false => Err(Error::Failed { command: shown(command), status }),
    }
}

/// The command as a person would type it, for messages.
#[must_use]
pub fn shown(command: &Command) -> String {
    let args = command.get_args().map(OsStr::to_string_lossy);
    std::iter::once(name(command).into()).chain(args).collect::<Vec<_>>().join(" ")
}

/// The program's name without its folder.
#[must_use]
pub fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned()
}

/// Sets a variable unless the user did.
pub fn default_env(command: &mut Command, name: &str, value: &str) {
    if env::var_os(name).is_none() {
        command.env(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watched_child_is_waited_for() {
        let mut command = Command::new("sleep");
        command.arg("0.3");
        let mut ticks = 0;
        let status = run_watched(&mut command, || ticks += 1).unwrap();
        assert!(status.success());
        assert!(ticks >= 2, "{ticks}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run_watched(&mut Command::new("/no/such/program"), || ()).unwrap_err();
        assert_eq!(error.to_string(), "program is not installed");
    }
}
