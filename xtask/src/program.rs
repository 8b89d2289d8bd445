//! `train`, `sample`, `plan`: set up, build the program, and become it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::checkout::Checkout;
use crate::{process, setup};

pub(crate) fn run(checkout: &Checkout, name: &str, args: &[OsString]) -> Result<()> {
    setup::ensure(checkout)?;
    let mut program = Command::new(build(checkout)?);
    program.arg(name).args(args);
    // Idle OpenMP threads that spin make a shared machine collapse.
    process::default_env(&mut program, "OMP_WAIT_POLICY", "PASSIVE");
    process::become_program(&mut program)
}

/// Builds the program and returns its path as cargo reports it, which is right under any target folder, profile or
/// target triple that the user's configuration chose.
fn build(checkout: &Checkout) -> Result<PathBuf> {
    let mut command = process::cargo(checkout);
    command
        .args(["build", "--release", "--package", "fewstep", "--bin", "fewstep"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    process::succeeded(&command, output.status)?;
    let messages = String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")?;
    executable(&messages).context("cargo built `fewstep` and named no executable")
}

fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == "fewstep")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_the_programs() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"build-script-build"},"executable":"/t/build"}
{"reason":"compiler-artifact","target":{"name":"fewstep"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"fewstep"},"executable":"/t/release/fewstep"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some("/t/release/fewstep".into()));
        assert_eq!(executable("not json\n{}"), None);
    }
}
