//! `test`: set up and fetch, then every test of the workspace, doctests included, in the profile that everything else is built in.

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::Command;

use anyhow::{Context, Result};
use fewstep_fetch::Cache;
use fewstep_fetch::process::default_env;

use crate::checkout::Checkout;
use crate::setup::libtorch::Libtorch;
use crate::{fetch, packages, process, setup};

pub(crate) fn run(checkout: &Checkout, args: &[OsString]) -> Result<()> {
    let libtorch = setup::ensure(checkout)?;
    if reads_weights(args) {
        weights()?;
    }
    process::become_program(&mut command(checkout, &libtorch, args)?)
}

/// `cargo test` over the workspace, or over the packages that `args` name.
pub(crate) fn command(checkout: &Checkout, libtorch: &Libtorch, args: &[OsString]) -> Result<Command> {
    let mut command = process::cargo(checkout);
    command.args(["test", "--release"]);
    // Beside `--workspace` cargo would ignore `--package` without a word.
    if !names_package(args) {
        command.arg("--workspace");
    }
    command.args(args);
    environment(&mut command, libtorch)?;
    Ok(command)
}

/// The weights of the feature network, which a reference vector is computed with.
pub(crate) fn weights() -> Result<()> {
    fetch::ensure("inception").context("the tests compare the feature network with reference features")?;
    Ok(())
}

/// Whether the package that holds the reference vectors is among those to be tested.
fn reads_weights(args: &[OsString]) -> bool {
    !names_package(args) || args.iter().any(|arg| arg.to_string_lossy().contains("fewstep-tests"))
}

/// What tests and benchmarks need around them.
pub(crate) fn environment(command: &mut Command, libtorch: &Libtorch) -> Result<()> {
    // One thread each way: two OpenMP threads on a shared machine wait for each other for seconds, and the results of
    // one thread are the same everywhere.
    command.env("OMP_NUM_THREADS", "1").env("OMP_WAIT_POLICY", "PASSIVE");
    default_env(command, "RUST_TEST_THREADS", "1");
    // Each test runs in its package's folder, where a relative path is another one.
    if let Ok(cache) = Cache::locate() {
        command.env("FEWSTEP_CACHE", cache.root());
        packages::tell(command, &cache);
    }
    // Test executables carry a run path, doctests do not.
    let found = env::var_os("LD_LIBRARY_PATH").filter(|found| !found.is_empty());
    let paths = std::iter::once(libtorch.lib())
        .chain(found.as_ref().map(env::split_paths).into_iter().flatten())
        .collect::<Vec<_>>();
    command.env("LD_LIBRARY_PATH", env::join_paths(paths).context("libtorch's path contains a `:`")?);
    Ok(())
}

fn names_package(args: &[OsString]) -> bool {
    args.iter().map(OsString::as_os_str).take_while(|arg| *arg != OsStr::new("--")).any(|arg| {
        let arg = arg.to_string_lossy();
        arg.starts_with("-p") || arg == "--package" || arg.starts_with("--package=")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn a_package_takes_the_place_of_the_workspace() {
        assert!(names_package(&words("-p fewstep-models")));
        assert!(names_package(&words("--package=fewstep-models some_test")));
        assert!(!names_package(&words("some_test -- -p")));
        assert!(!names_package(&words("--doc")));
    }

    #[test]
    fn weights_are_fetched_for_the_tests_that_read_them() {
        assert!(reads_weights(&words("")));
        assert!(reads_weights(&words("--package=fewstep-tests --test parity")));
        assert!(!reads_weights(&words("-p fewstep-schedules")));
    }

    #[test]
    fn the_command_carries_arguments_and_environment() {
        let checkout = Checkout { root: "/checkout".into() };
        let libtorch = Libtorch { root: "/checkout/libtorch".into(), version: "2.11.0".into(), cuda: false };
        let command = command(&checkout, &libtorch, &words("ddim -- --nocapture")).unwrap();
        let args: Vec<_> = command.get_args().collect();
        assert_eq!(args, ["test", "--release", "--workspace", "ddim", "--", "--nocapture"]);
        let variable = |name: &str| {
            command.get_envs().find(|(key, _)| *key == OsStr::new(name)).and_then(|(_, value)| value)
        };
        assert_eq!(variable("OMP_NUM_THREADS"), Some(OsStr::new("1")));
        let paths = variable("LD_LIBRARY_PATH").unwrap();
        assert!(paths.to_string_lossy().starts_with("/checkout/libtorch/lib"));
    }
}
