//! How a model's images were made: all that decides them besides its parameters, the seeds, and the sampler with its
//! steps. The same parameters asked in another way make other images.

use fewstep_files::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a model was asked for images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Making {
    /// Digest of the network's description.
    pub network: Digest,
    /// What the network predicts.
    pub prediction: String,
    /// The noise schedule, with its settings.
    pub schedule: String,
    /// Digest of the noise levels that sampling visited, in their order.
    pub levels: Digest,
    /// Clipping of the clean image's estimate in every step.
    pub clip: String,
    /// Which classes the images have.
    pub labels: Labels,
}

/// Which class every image has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Labels {
    /// The network knows no classes.
    None,
    /// Each seed draws its class, all alike.
    Uniform,
    /// Each seed draws its class, in proportion to the images that a data set has of each.
    Data {
        /// Digest of the counts, in the order of the classes.
        counts: Digest,
        /// How many classes.
        classes: u64,
        /// Images of the rarest.
        fewest: u64,
        /// Images of the most common.
        most: u64,
    },
    /// All have this one.
    One {
        /// The class.
        class: u64,
    },
}

impl Labels {
    /// In proportion to `counts`, one a class.
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
