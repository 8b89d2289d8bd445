//! Which part of a config a trained model depends on.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fewstep_data::DatasetSpec;

use super::{RunConfig, objective};

impl RunConfig {
    /// The part that decides the trained parameters. Name, device, evaluation, bookkeeping and whether a GPU repeats
    /// to the bit may change between two starts of a run.
    ///
    /// # Errors
    /// A value that has no JSON form.
    pub fn training_part(&self) -> Result<serde_json::Value> {
        let mut value = serde_json::to_value(self).context("the config as JSON")?;
        if let Some(map) = value.as_object_mut() {
            for key in ["name", "device", "evaluation"] {
                map.remove(key);
            }
            if let Some(training) = map.get_mut("training").and_then(|t| t.as_object_mut()) {
                for key in ["checkpoint_every", "keep_checkpoints", "log_every", "deterministic"] {
                    training.remove(key);
                }
            }
            if let Some(distill) = map.get_mut("distill").and_then(|d| d.as_object_mut()) {
                objective::identity(distill);
            }
            // Where data lies does not matter: its digest is part of the fingerprint.
            if let Some(data) = map.get_mut("data").and_then(|d| d.as_object_mut()) {
                data.remove("path");
            }
        }
        Ok(value)
    }

    /// The config with its relative paths as from `folder`, where they lead to something from there.
    #[must_use]
    pub fn started_from(mut self, folder: &Path) -> Self {
        let rebase = |path: &mut PathBuf| {
            let there = folder.join(&*path);
            if there.exists() {
                *path = there;
            }
        };
        self.teacher.from.as_mut().map(rebase);
        match &mut self.data {
            DatasetSpec::Images { path, .. } => rebase(path),
            DatasetSpec::Mnist(at) | DatasetSpec::FashionMnist(at) | DatasetSpec::Cifar10(at) => {
                at.path.as_mut().map(rebase);
            }
            DatasetSpec::Digits {} => {}
        }
        self
    }
}
