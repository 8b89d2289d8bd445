//! A run's folder: what is in it, that one process owns it, and that it belongs to this config.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fewstep_files::write_atomically;

use crate::config::RunConfig;

const RUN_RECORD: &str = "run.json";

/// The folder of one run, locked for this process.
pub struct RunFolder {
    path: PathBuf,
    /// `None` where another worker has it.
    _lock: Option<File>,
}

impl RunFolder {
    /// Opens or makes `runs/<name>` and writes the resolved config into it.
    ///
    /// Fails when another process works in it, or when it holds a run that was trained with other settings: both configs'
    /// differing keys are listed and nothing is touched.
    pub fn open(runs: &Path, config: &RunConfig) -> Result<Self> {
        let path = runs.join(&config.name);
        fs_err::create_dir_all(&path)?;
        let lock = File::create(path.join("run.lock"))
            .with_context(|| format!("cannot write into the run folder {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("{}: another process is working in this run folder", path.display())
            }
            Err(TryLockError::Error(e)) => return Err(e).context("locking the run folder"),
        }
        let folder = Self { path, _lock: Some(lock) };
        folder.check_config(config)?;
        let text = toml::to_string(config).context("writing the config")?;
        write_atomically(&folder.file("config.toml"), text.as_bytes())?;
        for sub in ["samples", "tb"] {
            fs_err::create_dir_all(folder.file(sub))?;
        }
        Ok(folder)
    }

    /// The folder of a run that rank 0 has opened: nothing in it is read or written.
    pub(crate) fn of_rank_0(runs: &Path, config: &RunConfig) -> Self {
        Self { path: runs.join(&config.name), _lock: None }
    }

    /// The teacher's model file, where the run trains one.
    pub fn teacher(&self) -> PathBuf {
        self.file("teacher.safetensors")
    }

    /// The student's model file.
    pub fn student(&self) -> PathBuf {
        self.file("model.safetensors")
    }

    /// The file that says where and by what the run was last worked on.
    pub(crate) fn record(&self) -> PathBuf {
        self.file(RUN_RECORD)
    }

    /// A path inside the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn check_config(&self, config: &RunConfig) -> Result<()> {
        let file = self.file("config.toml");
        if !file.exists() {
            return Ok(());
        }
        let text = fs_err::read_to_string(&file)?;
        let there = crate::config::read(&text).with_context(|| {
            format!("{} is damaged; move the run folder away to start over", file.display())
        })?;
        let mut differences = Vec::new();
        compare("", &there.training_part()?, &config.training_part()?, &mut differences);
        if differences.is_empty() {
            return Ok(());
        }
        bail!(
            "{} holds a run with another config: {}. Use another `name` (--set name=...), or move the folder away",
            self.path.display(),
            differences.join("; ")
        )
    }
}

/// The folder that a run was started in, as its `run.json` says; those of earlier versions do not.
pub fn started_in(folder: &Path) -> Option<PathBuf> {
    let text = fs_err::read_to_string(folder.join(RUN_RECORD)).ok()?;
    let record: serde_json::Value = serde_json::from_str(&text).ok()?;
    record["folder"].as_str().map(PathBuf::from)
}

/// Collects the keys whose values differ, with both values.
fn compare(key: &str, a: &serde_json::Value, b: &serde_json::Value, out: &mut Vec<String>) {
    match (a.as_object(), b.as_object()) {
        (Some(x), Some(y)) => {
            let keys: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            for k in keys {
                let null = serde_json::Value::Null;
                let name = if key.is_empty() { k.clone() } else { format!("{key}.{k}") };
                compare(&name, x.get(k).unwrap_or(&null), y.get(k).unwrap_or(&null), out);
            }
        }
        _ if a != b => out.push(format!("{key} is {a} there and {b} here")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differing_keys_are_listed_with_both_values() {
        let mut out = Vec::new();
        let (a, b) =
            (json!({"x": {"y": 1, "z": [1, 2]}, "s": 1}), json!({"x": {"y": 2, "z": [1, 2]}, "t": 1}));
        compare("", &a, &b, &mut out);
        assert_eq!(
            out,
            ["s is 1 there and null here", "t is null there and 1 here", "x.y is 1 there and 2 here"]
        );
    }
}
