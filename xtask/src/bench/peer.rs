//! The package pytorch-fid in a Python environment of its own, kept in the cache.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use fewstep_fetch::clients::{Session, pip};
use fewstep_fetch::process::{name, shown, succeeded};
use fewstep_fetch::{Cache, Staging};
use serde_json::Value;

use crate::checkout::Checkout;
use crate::process;
use crate::setup::wheels;
use crate::terminal::Terminal;

/// PyTorch's own folder of wheels for the CPU. Those of the Python index bring gigabytes of NVIDIA's libraries, without
/// which they cannot be imported.
const CPU_WHEELS: &str = "https://download.pytorch.org/whl/cpu";

const TORCH: [&str; 2] = ["torch==2.11.0", "torchvision==0.26.0"];
const OTHERS: [&str; 4] = ["numpy", "scipy", "pillow", "pytorch-fid==0.3.0"];

/// An interpreter with the package, and the script that uses it.
pub(crate) struct Peer {
    python: PathBuf,
    script: PathBuf,
}

impl Peer {
    /// The environment of the user's that `python` names, or the cache's, made if it is not there.
    pub(crate) fn find(checkout: &Checkout, python: Option<&Path>) -> Result<Self> {
        let python = match python {
            Some(own) if own.is_dir() => std::path::absolute(own.join("bin/python3"))?,
            Some(own) => own.to_path_buf(),
            None => environment(&Cache::locate()?)?.join("bin/python3"),
        };
        Ok(Self { python, script: checkout.root.join("crates/eval/benches/peer.py") })
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

/// The environment in the cache.
fn environment(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.root().join("peer-pytorch-fid-0.3.0-torch-2.11.0");
    if folder.join("bin/python3").exists() {
        return Ok(folder);
    }
    let lock = cache.lock(&Terminal)?;
    if folder.join("bin/python3").exists() {
        return Ok(folder);
    }
    let session = Session::new(cache, &lock, None, &Terminal);
    let staging = Staging::new(&folder)?;
    eprintln!("bench: making a Python environment with pytorch-fid in {}", folder.display());
    process::run(session.client("python3").args(["-m", "venv"]).arg(staging.path()))?;
    let python = staging.path().join("bin/python3");
    // A wheel that setup fetched from the Python index is the one with CUDA.
    let small =
        !wheels::has_torch(cache) && pip::install_with(&session, &python, &TORCH, Some(CPU_WHEELS)).is_ok();
    if !small {
        eprintln!("bench: torch from the Python index, with several gigabytes of libraries that it loads");
        pip::install_with(&session, &python, &TORCH, None)?;
    }
    pip::install_with(&session, &python, &OTHERS, None)?;
    let import = ["-c", "import torch, torchvision, scipy, PIL, pytorch_fid.fid_score"];
    process::run(Command::new(&python).args(import).stdin(Stdio::null()))?;
    staging.publish()?;
    ensure!(folder.join("bin/python3").exists(), "{} has no bin/python3", folder.display());
    Ok(folder)
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
