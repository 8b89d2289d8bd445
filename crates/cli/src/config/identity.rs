//! Which part of a config a trained model depends on.

use anyhow::{Context, Result};

use super::RunConfig;

impl RunConfig {
    /// The part that decides the trained parameters. Name, device, evaluation and bookkeeping may change between two starts of
    /// a run.
    ///
    /// # Errors
    /// A value that has no JSON form.
    pub(crate) fn training_part(&self) -> Result<serde_json::Value> {
        let mut value = serde_json::to_value(self).context("the config as JSON")?;
        if let Some(map) = value.as_object_mut() {
            for key in ["name", "device", "evaluation"] {
                map.remove(key);
            }
            if let Some(training) = map.get_mut("training").and_then(|t| t.as_object_mut()) {
                for key in ["checkpoint_every", "keep_checkpoints", "log_every"] {
                    training.remove(key);
                }
            }
            // Where data lies does not matter: its digest is part of the fingerprint.
            if let Some(data) = map.get_mut("data").and_then(|d| d.as_object_mut()) {
                data.remove("path");
            }
        }
        Ok(value)
    }
}
