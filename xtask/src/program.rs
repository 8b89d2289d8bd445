//! `train`, `eval-fid`, `sample` and the other commands of the program: set up, build it, fetch what it says that it
//! lacks, and become it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cache::Cache;
use crate::checkout::Checkout;
use crate::{fetch, process, setup};

/// The commands that read data sets or weights, and know the flag [`NEEDS`].
const READERS: [&str; 4] = ["train", "eval-fid", "reference", "dataset"];

/// With it the program does nothing but print what is missing from the cache, one name a line.
const NEEDS: &str = "--needs";

pub(crate) fn run(checkout: &Checkout, name: &str, args: &[OsString]) -> Result<()> {
    setup::ensure(checkout)?;
    let messages = build(checkout, &["--package", "fewstep", "--bin", "fewstep"])?;
    let program =
        executable(&messages, "fewstep").context("cargo built `fewstep` and named no executable")?;
    if READERS.contains(&name) {
        for needed in needs(&program, name, args) {
            fetch::ensure(&needed).with_context(|| format!("{name} needs {needed}"))?;
        }
    }
    process::become_program(command(&program, name).args(args))
}

/// The names of what the command lacks. A program that fails is about to fail again, and then its error is seen.
fn needs(program: &Path, name: &str, args: &[OsString]) -> Vec<String> {
    // In front: after a `--` it would be no flag.
    let output = command(program, name).arg(NEEDS).args(args).stdin(Stdio::null()).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else { return Vec::new() };
    let said = String::from_utf8_lossy(&output.stdout);
    // Beside `--help` it says something else.
    said.lines().map(str::trim).filter(|line| fetch::is_known(line)).map(str::to_owned).collect()
}

fn command(program: &Path, name: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(name);
    // Idle OpenMP threads that spin make a shared machine collapse.
    process::default_env(&mut command, "OMP_WAIT_POLICY", "PASSIVE");
    // The program looks where `fetch` puts things. Without a home it may still need nothing from there.
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
    process::succeeded(&command, output.status)?;
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
    use crate::clients::tests::stand_in;

    #[test]
    fn what_is_fetched_is_what_the_program_names() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("fewstep");
        // It answers only if it is asked as agreed, and knows where the cache is.
        let asked = r#"[ "$1 $2 $3 $4" = "train --needs --set x=1" ] && [ -n "$FEWSTEP_CACHE" ] || exit 2"#;
        let needs = |body: &str| {
            stand_in(folder.path(), "fewstep", &format!("{asked}\n{body}"));
            needs(&program, "train", &["--set".into(), "x=1".into()])
        };
        assert_eq!(needs("echo cifar10; echo inception; echo why >&2"), ["cifar10", "inception"]);
        assert!(needs("true").is_empty());
        assert!(needs("echo cifar10; exit 1").is_empty(), "a failure is left to the real run");
        assert!(needs("echo Usage: fewstep train; echo; echo mnist-like").is_empty());
        assert!(super::needs(&program, "train", &[]).is_empty(), "the stand-in refuses other arguments");
    }

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
