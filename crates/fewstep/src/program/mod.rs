//! The program: arguments become a config or a request, the library does the rest.

mod args;
mod dataset;
mod eval_fid;
mod import;
mod logging;
mod outputs;
mod plan;
mod reference;
mod sample;
mod signals;
mod stdout;
mod train;

use std::process::ExitCode;

use clap::Parser;
use fewstep::session::{Session, Stopped};

use args::{Args, Command};
use signals::STOPPED;

/// Runs the command that was typed.
pub(crate) fn main() -> ExitCode {
    let args = Args::parse();
    let bars = logging::init(args.quiet);
    match run(&args, bars) {
        Ok(code) => code,
        Err(e) if e.is::<Stopped>() => {
            let then = match args.command {
                Command::Train(_) => "the same command continues",
                _ => "nothing was written",
            };
            tracing::warn!("stopped; {then}");
            ExitCode::from(STOPPED)
        }
        Err(e) => {
            tracing::error!("{}", chain(&e));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, bars: indicatif::MultiProgress) -> anyhow::Result<ExitCode> {
    // First of all: what libtorch is asked before its CUDA half is loaded, it answers without it for good.
    fewstep::prepare()?;
    let threads = args.threads.map_or(0, std::num::NonZero::get);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    // Most commands look at their arguments first: what is refused at once need not be interrupted.
    let session = || anyhow::Ok(Session::new(bars.clone(), signals::stop_flag()?));
    match &args.command {
        Command::Train(a) => train::run(a, &session),
        Command::Plan(a) => plan::run(a),
        Command::Sample(a) => sample::run(a, &session),
        Command::EvalFid(a) => eval_fid::run(a, &session),
        Command::Reference(a) => reference::run(a, &session),
        Command::Import(a) => import::run(a),
        Command::Dataset(a) => dataset::run(a, &session),
    }
}

/// Makes the session of a command. From then on a signal asks the command to stop, and no longer ends it.
type MakeSession<'a> = &'a dyn Fn() -> anyhow::Result<Session>;

/// The error and its causes in one line. Libraries that stand alone name their cause in their own message; what was said
/// already is not said again.
fn chain(error: &anyhow::Error) -> String {
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
