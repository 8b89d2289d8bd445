//! The record of how a score was computed, stored with it as JSON. It is complete enough to compute the score again
//! and to decide whether two scores may be compared. Unknown fields are an error.

use crate::error::{Error, Result};
use crate::generation::GenerationSettings;
use crate::quantise::Quantisation;
use crate::score::Score;
use fewstep_files::Digest;
use fewstep_torch::Compute;
use serde::{Deserialize, Serialize};

/// A score and everything it depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Metric with its feature space, value, and counts of images.
    pub score: Score,
    /// The reference images.
    pub reference: Reference,
    /// The scored images.
    pub generated: Generated,
    /// The program that computed the score.
    pub program: Program,
}

/// The reference images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Digest of the reference's statistics, or of its features for metrics that need them.
    pub digest: Digest,
    /// Description: data set, split, processing.
    pub description: String,
}

/// The scored images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Generated {
    /// Sampled from a model.
    Model {
        /// Digest of the model's parameters.
        digest: Digest,
        /// Which copy of a training run's weights the parameters are.
        weights: Weights,
        /// One seed per image.
        seeds: Seeds,
        /// The sampler with its settings.
        sampler: String,
        /// Steps of the sampler.
        sampling_steps: u32,
        /// Network evaluations per image.
        nfe: u32,
        /// Kind in which the network computed.
        kind: Compute,
        /// How samples became 8-bit images.
        quantisation: Quantisation,
        /// How the images were generated; records of earlier versions do not have it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        making: Option<Box<GenerationSettings>>,
    },
    /// Read as 8-bit images.
    Images {
        /// Digest of the images.
        digest: Digest,
        /// Description: where they are from.
        description: String,
        /// Number of files that could not be read and were skipped, which the user allowed.
        skipped: u64,
    },
}

/// A copy of a training run's weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Weights {
    /// The weights that the optimizer updates.
    Online,
    /// Exponential moving average over optimizer steps.
    Ema {
        /// Decay per step, mu.
        decay: f64,
        /// Whether the rate is `(1 - mu) / (1 - mu^i)` at step i instead of `1 - mu`.
        bias_corrected: bool,
    },
    /// Read from a file that does not record it.
    Unknown,
}

/// Consecutive seeds: image k has seed `first + k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seeds {
    /// Seed of the first image.
    pub first: u64,
    /// Number of seeds.
    pub count: u64,
}

/// The program and where it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Version, with the commit if known.
    pub version: String,
    /// Description of the device.
    pub device: String,
}

impl Record {
    /// The record as JSON, indented.
    ///
    /// # Errors
    /// When the record contradicts itself.
    pub fn to_json(&self) -> Result<String> {
        const OPERATION: &str = "Record::to_json";
        self.check(OPERATION)?;
        serde_json::to_string_pretty(self).map_err(|source| Error::Json { operation: OPERATION, source })
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When the text is not the JSON of a record, has missing or unknown fields, or contradicts itself.
    pub fn from_json(text: &str) -> Result<Self> {
        const OPERATION: &str = "Record::from_json";
        let record: Self =
            serde_json::from_str(text).map_err(|source| Error::Json { operation: OPERATION, source })?;
        record.check(OPERATION)?;
        Ok(record)
    }

    fn check(&self, operation: &'static str) -> Result<()> {
        let wrong =
            |expected: &str, got: String| Error::Record { operation, expected: expected.to_owned(), got };
        if let Generated::Model { weights, seeds, sampling_steps, nfe, .. } = &self.generated {
            if seeds.count != self.score.n_generated() {
                let got = format!("{} seeds for {} images", seeds.count, self.score.n_generated());
                return Err(wrong("one seed an image", got));
            }
            if *sampling_steps == 0 || nfe < sampling_steps {
                let got = format!("{sampling_steps} steps and {nfe} evaluations");
                return Err(wrong("at least one step, and an evaluation a step", got));
            }
            if let Weights::Ema { decay, .. } = weights
                && !(0.0..1.0).contains(decay)
            {
                return Err(wrong("an EMA decay in [0, 1)", decay.to_string()));
            }
        }
        let texts = [&self.program.version, &self.program.device, &self.reference.description];
        if texts.iter().any(|text| text.trim().is_empty()) {
            return Err(wrong(
                "a version, a device and a description of the reference",
                format!("{texts:?}"),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
