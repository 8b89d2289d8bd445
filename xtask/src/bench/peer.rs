//! A Python script that does what the program does, in the environment of the packages that this project is compared with.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use fewstep_fetch::process::{name, shown, succeeded};
use serde_json::Value;

use crate::checkout::Checkout;
use crate::packages;

/// An interpreter with the packages, and the script that uses them.
pub(crate) struct Peer {
    python: PathBuf,
    script: PathBuf,
}

impl Peer {
    /// `script` of the checkout, in the environment of the user's that `python` names, or the one of `cargo xtask packages`,
    /// made if it is not there.
    pub(crate) fn find(checkout: &Checkout, python: Option<&Path>, script: &str) -> Result<Self> {
        let python = match python {
            Some(own) if own.is_dir() => std::path::absolute(own.join("bin/python3"))?,
            Some(own) => own.to_path_buf(),
            None => packages::ensure()?,
        };
        Ok(Self { python, script: checkout.root.join(script) })
    }

    /// Runs a command of the script on so many threads, and reads its answer.
    pub(crate) fn ask(&self, args: &[&str], threads: usize) -> Result<Value> {
        let mut command = Command::new(&self.python);
        command.arg(&self.script).args(args).env("OMP_NUM_THREADS", threads.to_string());
        // As the examples have it: on a busy machine threads that spin would make the peer look slow.
        command.env("OMP_WAIT_POLICY", "PASSIVE");
        answer(&mut command)
    }
}

/// Runs a program and reads the JSON that its last line is.
pub(crate) fn answer(command: &mut Command) -> Result<Value> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", name(command)))?;
    succeeded(command, output.status)?;
    let said = String::from_utf8(output.stdout).context("an answer that is not UTF-8")?;
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("`{}` answered {last:?}", shown(command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_the_last_line() {
        let ask = |script: &str| answer(Command::new("sh").args(["-c", script]));
        assert_eq!(ask("echo warming up; echo '{\"seconds\": 2}'").unwrap()["seconds"], 2);
        assert!(ask("echo no answer").unwrap_err().to_string().contains("no answer"));
        assert!(ask("echo '{}'; exit 1").is_err());
    }
}
