//! Everything that determines a model's images besides its parameters, the seeds, and the sampler with its steps.

use fewstep_files::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a model's images were generated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerationSettings {
    /// Digest of the network's description.
    pub network: Digest,
    /// What the network predicts.
    pub prediction: String,
    /// The noise schedule, with its settings.
    pub schedule: String,
    /// Digest of the noise levels that sampling visited, in their order.
    pub levels: Digest,
    /// Clipping of the estimate `x0_hat` in every step.
    pub clip: String,
    /// Classes of the images.
    pub labels: Labels,
}

/// How the class of each image is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Labels {
    /// The network has no classes.
    None,
    /// Each seed draws its class uniformly.
    Uniform,
    /// Each seed draws its class in proportion to the images per class of a data set.
    Data {
        /// Digest of the counts, in the order of the classes.
        counts: Digest,
        /// Number of classes.
        classes: u64,
        /// Images of the rarest class.
        fewest: u64,
        /// Images of the most common class.
        most: u64,
    },
    /// All images have the same class.
    One {
        /// The class.
        class: u64,
    },
}

impl Labels {
    /// Classes in proportion to `counts`, one count per class.
    #[must_use]
    pub fn of_counts(counts: &[u64]) -> Self {
        let bytes: Vec<u8> = counts.iter().flat_map(|count| count.to_le_bytes()).collect();
        let (fewest, most) = (counts.iter().min(), counts.iter().max());
        Self::Data {
            counts: Digest::of(&bytes),
            classes: counts.len() as u64,
            fewest: fewest.copied().unwrap_or(0),
            most: most.copied().unwrap_or(0),
        }
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no classes"),
            Self::Uniform => f.write_str("classes drawn uniformly"),
            Self::Data { counts, classes, fewest, most } => {
                write!(
                    f,
                    "{classes} classes drawn in the proportions of data, {fewest} to {most} images ({counts})"
                )
            }
            Self::One { class } => write!(f, "class {class} only"),
        }
    }
}
