//! `ci`: every check a change must pass, the cheap ones first. All of them build in release, so that the C++ half of
//! the wrapper is compiled once.

use std::ffi::OsString;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::checkout::Checkout;
use crate::{examples, layers, packages, process, scalars, setup, test, tidy};

pub(crate) fn run(checkout: &Checkout) -> Result<()> {
    let cargo = |args: &[&str]| {
        let mut command = process::cargo(checkout);
        command.args(args);
        command
    };
    step("format", || process::run(&mut cargo(&["fmt", "--all", "--check"])))?;
    step("layers", || layers::run(checkout))?;
    step("tidy", || tidy::run(checkout))?;
    step("scalars", || scalars::run(checkout))?;
    let libtorch = step("setup", || setup::ensure(checkout))?;
    step("fetch", test::weights)?;
    step("packages", packages::ensure)?;
    step("clippy", || {
        process::run(&mut cargo(&[
            "clippy",
            "--release",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    step("docs", || {
        let mut doc = cargo(&["doc", "--release", "--workspace", "--no-deps"]);
        process::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    // Numbers and learning must not depend on the CPU: once with the kernels of the least one, then as the machine is.
    step("parity and learning with SSE4 kernels", || {
        let args = ["--test", "parity", "--test", "learning"].map(OsString::from);
        let mut command = test::command(checkout, &libtorch, &args)?;
        process::run(command.env("ATEN_CPU_CAPABILITY", "default").env("ONEDNN_MAX_CPU_ISA", "SSE41"))
    })?;
    step("examples", || examples::run(checkout))?;
    // The tests come last and nothing is said after them: the log ends with cargo's own verdict and times. One failing
    // test does not hide the others.
    eprintln!("==> test");
    process::become_program(&mut test::command(checkout, &libtorch, &["--no-fail-fast".into()])?)
}

/// Runs a step under its name and says how long it took.
fn step<T>(name: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {name}");
    let start = Instant::now();
    let result = run().with_context(|| name.to_owned())?;
    eprintln!("==> {name}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(result)
}
