//! `cargo xtask`: the chores of the checkout, one module a command. It finds or makes a libtorch, fetches data and
//! weights, starts the program, and runs the checks. It compiles in seconds because it knows those of the workspace's crates only
//! that fetch files; the others it starts as programs. It speaks Unix (symbolic links, exec), as libtorch's prebuilt archives for this project do.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks on its standard streams")]

mod args;
mod bench;
mod chain;
mod checkout;
mod ci;
mod examples;
mod fetch;
mod layers;
mod metadata;
mod packages;
mod process;
mod program;
mod reproduce;
mod scalars;
mod setup;
mod terminal;
mod test;
mod tidy;
mod wheel;

use std::process::ExitCode;

use args::Command;
use chain::chain;
use checkout::Checkout;

fn main() -> ExitCode {
    match args::parse(std::env::args_os().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let checkout = Checkout::find()?;
    match command {
        Command::Help => {
            print!("{}", args::HELP);
            Ok(())
        }
        Command::Setup(request) => setup::run(&checkout, &request),
        Command::Fetch(request) => fetch::run(&request),
        Command::Program { name, args } => program::run(&checkout, &name, &args),
        Command::Test { args } => test::run(&checkout, &args),
        Command::Bench { filter } => bench::run(&checkout, filter.as_deref()),
        Command::BenchEval(request) => bench::eval::run(&checkout, &request),
        Command::BenchSpeed(request) => bench::speed::run(&checkout, &request),
        Command::Reproduce(request) => reproduce::run(&checkout, &request),
        Command::Packages => packages::run(),
        Command::Wheel(request) => wheel::run(&checkout, &request),
        Command::Ci => ci::run(&checkout),
        Command::Examples => examples::run(&checkout),
        Command::Layers => layers::run(&checkout),
        Command::Tidy => {
            tidy::run(&checkout)?;
            scalars::run(&checkout)
        }
        Command::Load { libraries } => setup::probe::load(&libraries),
    }
}
