//! What holds of every number of a statistic, whoever computed it. A score is checked by it when it is made and when it
//! is read.

use crate::metrics::Statistic;
use crate::score::Estimate;

/// What holds of the numbers of a statistic.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The statistic in the name of a metric, in front of the space: `frechet` of `frechet[pixels]`.
    pub(crate) name: &'static str,
    /// The whole name in the space of FID, for a statistic that has one of its own there.
    pub(crate) in_fids_space: Option<&'static str>,
    /// How it may be estimated.
    pub(crate) estimates: fn(&Estimate) -> bool,
    /// The fewest images on either side.
    pub(crate) fewest: fn(&Statistic) -> u64,
    /// Whether a number may be below zero.
    pub(crate) signed: bool,
    /// Whether it is a distance: zero where both sides are alike, and smaller is better.
    pub(crate) distance: bool,
}

/// What holds of the numbers of metrics outside these crates, of which nothing is known.
pub(crate) const OWN: Rules = Rules {
    name: "",
    in_fids_space: None,
    estimates: |_| true,
    fewest: |_| 1,
    signed: true,
    distance: false,
};

impl Statistic {
    /// The statistic in the name of a metric, in front of the space.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Named(name) => name.as_str(),
            _ => self.rules().name,
        }
    }

    /// Whether it is a distance, of which two can be set in proportion; a statistic from outside these crates is not known
    /// to be one.
    #[must_use]
    pub fn is_distance(&self) -> bool {
        self.rules().distance
    }
}
