//! The `plan` command: what `train` would do.

use std::process::ExitCode;

use anyhow::Result;
use fewstep::plan::Setup;

use super::args::ConfigArgs;
use super::stdout::say;

/// The `plan` command.
pub(crate) fn run(args: &ConfigArgs) -> Result<ExitCode> {
    let setup = Setup::new(args.load()?)?;
    say(setup.preview()?)?;
    say(setup.memory()?)?;
    Ok(ExitCode::SUCCESS)
}
