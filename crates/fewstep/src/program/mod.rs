//! The program: arguments become a config or a request, the library does the rest.

mod args;
mod bench;
mod dataset;
mod doctor;
mod eval_fid;
mod export;
mod fetch;
mod from_teacher;
mod import;
mod logging;
mod outputs;
mod plan;
mod reference;
mod sample;
mod signals;
mod stdout;
mod train;
mod workers;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use fewstep::session::{Session, Stopped};

use args::{Args, Command};
use signals::STOPPED;
use workers::Part;

/// Runs the command that was typed.
pub(crate) fn main() -> ExitCode {
    let args = Args::parse();
    let part = match &args.command {
        Command::Train(train) => workers::part(&train.workers, &|name| std::env::var(name).ok()),
        _ => Ok(Part::Alone),
    };
    let rank = if let Ok(Part::Worker(place)) = &part { place.rank } else { 0 };
    let bars = logging::init(args.quiet, rank);
    match part.and_then(|part| run(&args, &part, bars)) {
        Ok(code) => code,
        Err(e) if e.is::<Stopped>() => {
            let then = match args.command {
                Command::Train(_) => "the same command continues",
                _ => "nothing was written",
            };
            if rank == 0 {
                tracing::warn!("stopped; {then}");
            }
            ExitCode::from(STOPPED)
        }
        Err(e) => {
            tracing::error!("{}", chain(&e));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, part: &Part, bars: indicatif::MultiProgress) -> anyhow::Result<ExitCode> {
    // It prepares libtorch itself, and says what it thinks of that.
    if matches!(args.command, Command::Doctor) {
        return doctor::run();
    }
    if let (Part::Launcher(size), Command::Train(a)) = (part, &args.command) {
        return train::launch(a, *size);
    }
    // First of all: what libtorch is asked before its CUDA half is loaded, it answers without it for good.
    fewstep::prepare()?;
    let local = if let Part::Worker(place) = part { place.local_size } else { 1 };
    let threads = match args.threads {
        Some(threads) => threads.get(),
        None if local > 1 => workers::threads(local),
        None => 0,
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let console = Console(bars);
    match &args.command {
        Command::Train(a) => train::run(a, part, &console),
        Command::Plan(a) => plan::run(a),
        Command::Sample(a) => sample::run(a, &console),
        Command::EvalFid(a) => eval_fid::run(a, &console),
        Command::Reference(a) => reference::run(a, &console),
        Command::Import(a) => import::run(a),
        Command::Export(a) => export::run(a),
        Command::Dataset(a) => dataset::run(a, &console),
        Command::Fetch(a) => fetch::run(a, &console),
        Command::Bench(a) => bench::run(a),
        Command::Doctor => doctor::run(),
    }
}

/// Where a command shows its progress.
struct Console(indicatif::MultiProgress);

impl Console {
    /// A session of which a signal ends the process at once: for what leaves nothing half done, such as looking at
    /// arguments or fetching.
    fn interruptible(&self) -> Session {
        Session::new(self.0.clone(), Arc::new(AtomicBool::new(false)))
    }

    /// A session that a signal asks to stop. From the call on a signal no longer ends the process.
    fn session(&self) -> anyhow::Result<Session> {
        Ok(Session::new(self.0.clone(), signals::stop_flag()?))
    }
}

/// The error and its causes in one line. Libraries that stand alone name their cause in their own message; what was said
/// already is not said again.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // libtorch adds a backtrace of its own, which says nothing to a person.
        let cause = cause.split("\nException raised from").next().unwrap_or_default().to_owned();
        if !said.contains(&cause) {
            let colon = if said.is_empty() { "" } else { ": " };
            said = format!("{said}{colon}{cause}");
        }
    }
    said
}
