//! `fewstep`: distil a diffusion model into a one- or few-step generator, and measure the result.
//!
//! Arguments become a config, a config becomes a plan, a plan is run. There is no mathematics here.

mod args;
mod config;
mod dataset;
mod eval_fid;
mod evaluation;
mod feasibility;
mod fetch;
mod images;
mod import;
mod logging;
mod measuring;
mod observer;
mod on_the_way;
mod outline;
mod outputs;
mod page;
mod plan;
mod progress;
mod reference;
mod run_folder;
mod sample;
mod signals;
mod stdout;
mod train;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::signals::{STOPPED, Stopped};

fn main() -> ExitCode {
    let args = Args::parse();
    let bars = logging::init(args.quiet);
    match run(&args, &bars) {
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

fn run(args: &Args, bars: &indicatif::MultiProgress) -> anyhow::Result<ExitCode> {
    // First of all: what libtorch is asked before its CUDA half is loaded, it answers without it for good.
    fewstep_torch::prepare()?;
    let threads = args.threads.map_or(0, std::num::NonZero::get);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    match &args.command {
        Command::Train(a) => train::run(a, bars),
        Command::Plan(a) => plan::run(a),
        Command::Sample(a) => sample::run(a, bars),
        Command::EvalFid(a) => eval_fid::run(a, bars),
        Command::Reference(a) => reference::run(a, bars),
        Command::Import(a) => import::run(a),
        Command::Dataset(a) => dataset::run(a, bars),
        Command::Fetch(a) => fetch::run(a, bars),
    }
}

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
