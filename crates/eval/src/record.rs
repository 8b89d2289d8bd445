//! The record of how a number was made: stored beside it as JSON, complete enough to make the number again
//! and to see whether two numbers may be compared. A reader refuses fields it does not know.

use crate::error::{Error, Result};
use crate::making::Making;
use crate::quantise::Quantisation;
use crate::score::Score;
use fewstep_files::Digest;
use fewstep_torch::Compute;
use serde::{Deserialize, Serialize};

/// A score and everything that it depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Metric with its feature space, value, and counts of images.
    pub score: Score,
    /// What the images were compared with.
    pub reference: Reference,
    /// Where the images came from.
    pub generated: Generated,
    /// What computed the number.
    pub program: Program,
}

/// The reference images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Digest of the reference's statistics, or of its features for metrics that need them.
    pub digest: Digest,
    /// In words: data set, split, processing.
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
        /// Which of a training run's copies of the weights they are.
        weights: Weights,
        /// One seed an image.
        seeds: Seeds,
        /// The sampler in words, with its settings.
        sampler: String,
        /// Steps of the sampler.
        sampling_steps: u32,
        /// Network evaluations an image.
        nfe: u32,
        /// Kind in which the network computed.
        kind: Compute,
        /// How samples became 8-bit images.
        quantisation: Quantisation,
        /// How the model was asked; records of earlier versions do not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        making: Option<Box<Making>>,
    },
    /// Given as 8-bit images.
    Images {
        /// Digest of the images.
        digest: Digest,
        /// In words: where they are from.
        description: String,
        /// Files that were left out because they could not be read, as the user allowed.
        skipped: u64,
    },
}

/// A copy of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Weights {
    /// As the optimizer left them.
    Online,
    /// Exponential moving average over optimizer steps.
    Ema {
        /// Decay a step, mu.
        decay: f64,
        /// Whether the rate is `(1 - mu) / (1 - mu^i)` at step i instead of `1 - mu`.
        bias_corrected: bool,
    },
    /// Read from a file that does not say.
    Unknown,
}

/// Consecutive seeds: image k has seed `first + k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seeds {
    /// Seed of the first image.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// The program and where it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Version, with the commit where known.
    pub version: String,
    /// Device in words.
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
