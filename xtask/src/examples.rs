//! `examples`: the programs in `examples/`, built and run, and the package outside the workspace with its test. Each checks
//! its own result and fails where that is wrong.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fewstep_fetch::process::succeeded;

use crate::checkout::Checkout;
use crate::setup::libtorch::Libtorch;
use crate::{process, setup, test};

pub(crate) fn run(checkout: &Checkout) -> Result<()> {
    let libtorch = setup::ensure(checkout)?;
    schedules(checkout)?;
    let cargo = |args: &[&str]| -> Result<Command> {
        let mut command = process::cargo(checkout);
        command.args(args);
        test::environment(&mut command, &libtorch)?;
        Ok(command)
    };
    let example = ["run", "--quiet", "--release", "--package", "fewstep", "--example"];
    process::run(&mut cargo(&[&example[..], &["mixture"]].concat())?)?;
    distance(&|args| cargo(args), &example)?;
    outside(checkout, &libtorch)
}

/// The schedules alone: they must not lead to libtorch.
fn schedules(checkout: &Checkout) -> Result<()> {
    let mut tree = process::cargo(checkout);
    tree.args(["tree", "--package", "fewstep-schedules", "--edges", "normal,build", "--prefix", "none"]);
    let output = tree.output().context("cannot start cargo tree")?;
    succeeded(&tree, output.status)?;
    let tree = String::from_utf8_lossy(&output.stdout);
    ensure!(tree.contains("serde"), "`cargo tree` does not show what the schedules use: {tree}");
    ensure!(!tree.contains("tch") && !tree.contains("torch-sys"), "the schedules use libtorch: {tree}");
    let mut command = process::cargo(checkout);
    command.args(["run", "--quiet", "--release", "--package", "fewstep-schedules", "--example", "schedules"]);
    process::run(&mut command)
}

/// The distance of two sets of images, which the program makes from the digits.
fn distance(cargo: &dyn Fn(&[&str]) -> Result<Command>, example: &[&str]) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("fewstep-examples-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let made = (|| {
        let path = |name: &str| folder.join(name).display().to_string();
        for (name, limit) in [("some.zip", "200"), ("more.zip", "600")] {
            let dataset = ["run", "--quiet", "--release", "--package", "fewstep", "--", "--quiet", "dataset"];
            let options = ["--from", "digits", "--limit", limit, "--out", &path(name)];
            process::run(&mut cargo(&[&dataset[..], &options].concat())?)?;
        }
        process::run(&mut cargo(&[example, &["fid", "--", &path("some.zip"), &path("more.zip")]].concat())?)
    })();
    fs::remove_dir_all(&folder)?;
    made
}

/// The package outside: its test kills its run and lets it go on. It has the versions of the workspace, so that nothing is
/// compiled twice.
fn outside(checkout: &Checkout, libtorch: &Libtorch) -> Result<()> {
    let folder = checkout.root.join("examples/outside");
    fs::copy(checkout.root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let mut command = process::cargo(checkout);
    command.args(["test", "--release", "--manifest-path", "examples/outside/Cargo.toml"]);
    command.arg("--target-dir").arg(checkout.root.join("target"));
    test::environment(&mut command, libtorch)?;
    process::run(&mut command)
}
