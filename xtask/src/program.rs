//! `train`, `eval-fid`, `sample` and the other commands of the program: set up, build it, and become it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use fewstep_fetch::Cache;
use fewstep_fetch::process::{default_env, succeeded};
use serde_json::Value;

use crate::checkout::Checkout;
use crate::{process, setup};

pub(crate) fn run(checkout: &Checkout, name: &str, args: &[OsString]) -> Result<()> {
    setup::ensure(checkout)?;
    let messages = build(checkout, &["--package", "fewstep", "--bin", "fewstep"])?;
    let program =
        executable(&messages, "fewstep").context("cargo built `fewstep` and named no executable")?;
    process::become_program(command(&program, name).args(args))
}

fn command(program: &Path, name: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(name);
    // Idle OpenMP threads that spin make a shared machine collapse.
    default_env(&mut command, "OMP_WAIT_POLICY", "PASSIVE");
    // The program looks where `fetch` puts things, wherever it is started. Without a home it may need nothing from there.
    if let Ok(cache) = Cache::locate() {
        command.env("FEWSTEP_CACHE", cache.root());
    }
    command
}

/// Builds in release what the arguments select, and returns cargo's messages.
pub(crate) fn build(checkout: &Checkout, what: &[&str]) -> Result<String> {
    let mut command = process::cargo(checkout);
    command
        .args(["build", "--release"])
        .args(what)
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    succeeded(&command, output.status)?;
    String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")
}

/// An executable's path as cargo reports it, which is right under any target folder, profile or target triple that the
/// user's configuration chose.
pub(crate) fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == name)
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
        assert_eq!(executable(messages, "fewstep"), Some("/t/release/fewstep".into()));
        assert_eq!(executable("not json\n{}", "fewstep"), None);
    }
}
