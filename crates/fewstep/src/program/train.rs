//! The `train` command: plan, resume or start, train, write, measure.

use std::process::ExitCode;

use anyhow::Result;
use fewstep::plan::Run;

use super::MakeSession;
use super::args::TrainArgs;
use super::outputs::try_folder;
use super::stdout::say;

/// The `train` command.
pub(crate) fn run(args: &TrainArgs, session: MakeSession<'_>) -> Result<ExitCode> {
    let config = args.config.load()?;
    if !args.dry_run {
        try_folder("--runs", &args.runs.join(&config.name))?;
    }
    let run = Run::new(config)?;
    if args.dry_run {
        say(&run)?;
        return Ok(ExitCode::SUCCESS);
    }
    run.execute(&args.runs, &session()?)?;
    Ok(ExitCode::SUCCESS)
}
