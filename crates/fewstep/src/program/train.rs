//! The `train` command: plan, resume or start, train, write, measure.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use fewstep::config::RunConfig;
use fewstep::fetch;
use fewstep::plan::{Run, Setup};
use fewstep::session::Stopped;
use fewstep::torch::Workers;

use super::args::TrainArgs;
use super::outputs::try_folder;
use super::stdout::say;
use super::workers::{self, Part};
use super::{Console, chain, from_teacher};

/// The `train` command by several workers that this process starts: the config first, so that what is wrong with it is said
/// once.
pub(crate) fn launch(args: &TrainArgs, size: usize) -> Result<ExitCode> {
    let config = config(args)?;
    if args.dry_run {
        let run = Run::new(config)?;
        say(&run)?;
        say(run.setup.memory()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    Setup::new(config)?;
    workers::launch(size)
}

/// The `train` command.
pub(crate) fn run(args: &TrainArgs, part: &Part, console: &Console) -> Result<ExitCode> {
    let workers = workers::join(part, &args.workers)?;
    let done = as_one_of(&workers, args, console);
    match &done {
        Err(e) if e.is::<Stopped>() => workers.leave("it was asked to stop"),
        Err(e) => workers.leave(&chain(e)),
        Ok(_) => {}
    }
    done
}

fn as_one_of(workers: &Arc<Workers>, args: &TrainArgs, console: &Console) -> Result<ExitCode> {
    // Rank 0 may have to make the config that the others then read.
    if !workers.is_first() {
        workers.meet()?;
    }
    let config = config(args)?;
    if workers.is_first() {
        workers.meet()?;
    }
    if args.dry_run {
        if workers.is_first() {
            let run = Run::new(config)?;
            say(&run)?;
            say(run.setup.memory()?)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if workers.is_first() {
        try_folder("--runs", &args.runs.join(&config.name))?;
    }
    let threads = rayon::current_num_threads();
    if workers.is_alone() {
        tracing::info!("threads    {threads} of the CPU; --threads takes another number");
    } else {
        let (size, local) = (workers.size(), workers.place().local_size);
        tracing::info!("{size} workers, {local} on this machine with {threads} threads each");
    }
    if workers.place().local_rank == 0 {
        let (data, features) = (Some(&config.data), Some(config.evaluation.features));
        fetch::ensure("train", data, features, &console.interruptible())?;
    }
    workers.meet()?;
    let session = console.session()?.among(Arc::clone(workers));
    Run::new(config)?.execute(&args.runs, &session)?;
    Ok(ExitCode::SUCCESS)
}

fn config(args: &TrainArgs) -> Result<RunConfig> {
    match &args.teacher {
        Some(teacher) => from_teacher::config(args, teacher),
        None => args.config.load(),
    }
}
