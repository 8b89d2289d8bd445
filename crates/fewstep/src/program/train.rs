//! The `train` command: plan, resume or start, train, write, measure.

use std::process::ExitCode;

use anyhow::Result;
use fewstep::fetch;
use fewstep::plan::Run;

use super::args::TrainArgs;
use super::outputs::try_folder;
use super::stdout::say;
use super::{Console, from_teacher};

/// The `train` command.
pub(crate) fn run(args: &TrainArgs, console: &Console) -> Result<ExitCode> {
    let config = match &args.teacher {
        Some(teacher) => from_teacher::config(args, teacher)?,
        None => args.config.load()?,
    };
    if args.dry_run {
        let run = Run::new(config)?;
        say(&run)?;
        say(run.setup.memory()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    try_folder("--runs", &args.runs.join(&config.name))?;
    let (data, features) = (Some(&config.data), Some(config.evaluation.features));
    fetch::ensure("train", data, features, &console.interruptible())?;
    Run::new(config)?.execute(&args.runs, &console.session()?)?;
    Ok(ExitCode::SUCCESS)
}
