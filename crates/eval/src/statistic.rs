//! What is computed from two sets of features, and what holds of every number of it, whoever computed it. A score is
//! checked by it when it is made and when it is read. Of a named statistic nothing is known.

use crate::estimate::Estimate;
use crate::name::Name;
use serde::{Deserialize, Serialize};

/// What is computed from two sets of features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Statistic {
    /// Squared Frechet distance between fitted Gaussians.
    Frechet,
    /// Squared Frechet distance, extrapolated to infinitely many generated images.
    FrechetInfinity,
    /// Kernel distance, unbiased.
    Kernel,
    /// Share of generated images inside the reference's manifold.
    Precision {
        /// Each ball of a manifold reaches to this nearest neighbour of its centre.
        neighbours: u32,
    },
    /// Share of reference images inside the generated images' manifold.
    Recall {
        /// Each ball of a manifold reaches to this nearest neighbour of its centre.
        neighbours: u32,
    },
    /// Another, by the name that its metric gave it.
    Named(Name),
}

impl Statistic {
    /// The statistic in the name of a metric, in front of the space: `frechet` of `frechet[pixels]`.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Frechet => "frechet",
            Self::FrechetInfinity => "frechet-infinity",
            Self::Kernel => "kernel",
            Self::Precision { .. } => "precision",
            Self::Recall { .. } => "recall",
            Self::Named(name) => name.as_str(),
        }
    }

    /// The whole name in the space of FID, for a statistic that has one of its own there.
    pub(crate) fn name_in_fids_space(&self) -> Option<&'static str> {
        match self {
            Self::Frechet => Some("FID"),
            Self::FrechetInfinity => Some("FID-infinity"),
            Self::Kernel => Some("KID"),
            Self::Precision { .. } | Self::Recall { .. } | Self::Named(_) => None,
        }
    }

    /// Whether it may be estimated so.
    pub(crate) fn may_be(&self, estimate: &Estimate) -> bool {
        match self {
            Self::Frechet => matches!(estimate, Estimate::Whole | Estimate::Bootstrap { .. }),
            Self::FrechetInfinity => matches!(estimate, Estimate::Extrapolated { .. }),
            Self::Kernel => matches!(estimate, Estimate::Whole | Estimate::Subsets { .. }),
            Self::Precision { .. } | Self::Recall { .. } => matches!(estimate, Estimate::Whole),
            Self::Named(_) => true,
        }
    }

    /// Whether a number may be below zero.
    pub(crate) fn is_signed(&self) -> bool {
        match self {
            Self::Frechet | Self::Precision { .. } | Self::Recall { .. } => false,
            Self::FrechetInfinity | Self::Kernel | Self::Named(_) => true,
        }
    }

    /// The fewest images on either side.
    pub(crate) fn fewest(&self) -> u64 {
        match self {
            Self::Frechet | Self::FrechetInfinity | Self::Kernel => 2,
            Self::Precision { neighbours } | Self::Recall { neighbours } => u64::from(*neighbours) + 1,
            Self::Named(_) => 1,
        }
    }

    /// The numbers that it depends on, by their names.
    pub(crate) fn options(&self) -> Vec<(&'static str, u64)> {
        match self {
            Self::Precision { neighbours } | Self::Recall { neighbours } => {
                vec![("neighbours", u64::from(*neighbours))]
            }
            Self::Frechet | Self::FrechetInfinity | Self::Kernel | Self::Named(_) => Vec::new(),
        }
    }

    /// Whether it is a distance, of which two can be set in proportion; a named one is not known to be one.
    #[must_use]
    pub fn is_distance(&self) -> bool {
        match self {
            Self::Frechet | Self::FrechetInfinity | Self::Kernel => true,
            Self::Precision { .. } | Self::Recall { .. } | Self::Named(_) => false,
        }
    }
}
