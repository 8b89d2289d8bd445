//! A score: a number with its metric, the counts of images, and how it was estimated.

use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::feature_space::FeatureSpace;
use crate::metric_name::MetricName;
use crate::statistic::Statistic;
use serde::{Deserialize, Serialize};

/// A finite number with its metric and the counts of images. Made only by [`crate::ImageMoments`] and
/// [`crate::ImageFeatures`]; by [`crate::GeneratedSide::score`] under a name of its own; or read from a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Score(Stored);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    metric: MetricName,
    value: f64,
    estimate: Estimate,
    n_generated: u64,
    n_reference: ReferenceCount,
    n_grey: u64,
}

/// The number of reference images, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceCount {
    /// This program computed the reference from the images and counted them.
    Measured(u64),
    /// Another program computed the reference, and the user stated the number.
    Stated(u64),
    /// Another program computed the reference, and the number is not known.
    Unknown,
}

impl ReferenceCount {
    /// The number, if known.
    #[must_use]
    pub fn number(self) -> Option<u64> {
        match self {
            Self::Measured(n) | Self::Stated(n) => Some(n),
            Self::Unknown => None,
        }
    }
}

impl Score {
    pub(crate) fn new(
        statistic: Statistic,
        space: &FeatureSpace,
        (value, estimate): (f64, Estimate),
        generated: Images,
        n_reference: ReferenceCount,
    ) -> Result<Self> {
        const OPERATION: &str = "Score";
        let stored = Stored {
            metric: MetricName::new(statistic, space.clone()),
            value,
            estimate,
            n_generated: generated.count,
            n_reference,
            n_grey: generated.n_grey,
        };
        stored.check().map_err(|got| {
            let expected = "a number that follows from its images".to_owned();
            Error::Record { operation: OPERATION, expected, got }
        })?;
        Ok(Self(stored))
    }

    /// The metric.
    #[must_use]
    pub fn metric(&self) -> &MetricName {
        &self.0.metric
    }

    /// The number.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.0.value
    }

    /// How the number was estimated.
    #[must_use]
    pub fn estimate(&self) -> &Estimate {
        &self.0.estimate
    }

    /// Number of generated images.
    #[must_use]
    pub fn n_generated(&self) -> u64 {
        self.0.n_generated
    }

    /// Number of reference images.
    #[must_use]
    pub fn n_reference(&self) -> ReferenceCount {
        self.0.n_reference
    }

    /// Number of generated images that were grey and had their channel replicated.
    #[must_use]
    pub fn n_grey(&self) -> u64 {
        self.0.n_grey
    }
}

/// The images on one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Images {
    pub(crate) count: u64,
    pub(crate) n_grey: u64,
}

impl Stored {
    /// Checks that the fields do not contradict each other; the error says which do.
    fn check(&self) -> std::result::Result<(), String> {
        let statistic = self.metric.statistic();
        if !statistic.may_be(&self.estimate) {
            return Err(format!("{} taken as {:?}", self.metric, self.estimate));
        }
        let least = statistic.fewest();
        let few = |n: u64| n < least;
        if few(self.n_generated) || self.n_reference.number().is_some_and(few) {
            let (g, r) = (self.n_generated, &self.n_reference);
            return Err(format!("{} of {g} images against {r:?}", self.metric));
        }
        if (self.value < 0.0 && !statistic.is_signed()) || !self.value.is_finite() {
            return Err(format!("{} of {}", self.metric, self.value));
        }
        if self.n_grey > self.n_generated {
            return Err(format!("{} grey images among {}", self.n_grey, self.n_generated));
        }
        Ok(())
    }
}

impl TryFrom<Stored> for Score {
    type Error = String;

    fn try_from(stored: Stored) -> std::result::Result<Self, String> {
        stored.check().map(|()| Self(stored))
    }
}

impl From<Score> for Stored {
    fn from(score: Score) -> Self {
        score.0
    }
}

#[cfg(test)]
mod tests {
    use super::ReferenceCount::Measured;
    use super::*;
    use crate::feature_space::{PoolThree, Protocol};

    fn score(statistic: Statistic, value: f64, estimate: Estimate, n: u64, m: u64) -> Result<Score> {
        let space = FeatureSpace::PoolThree(PoolThree::fid(Protocol::PytorchFid));
        Score::new(statistic, &space, (value, estimate), Images { count: n, n_grey: 0 }, Measured(m))
    }

    #[test]
    fn a_fid_needs_two_images_on_both_sides() {
        let fid = |n, m| score(Statistic::Frechet, 1.5, Estimate::Whole, n, m);
        assert_eq!(fid(2, 2).unwrap().metric().name(), "FID");
        assert!(fid(1, 2).is_err() && fid(2, 1).is_err());
        let json = serde_json::to_string(&fid(2, 2).unwrap()).unwrap();
        for (from, to) in [
            (r#""n_generated":2"#, r#""n_generated":1"#),
            (r#""value":1.5"#, r#""value":-1.5"#),
            (r#""n_grey":0"#, r#""n_grey":3"#),
            (
                r#""estimate":"whole""#,
                r#""estimate":{"subsets":{"count":1,"size":2,"seed":0,"deviation":0.0}}"#,
            ),
        ] {
            let changed = json.replace(from, to);
            assert_ne!(changed, json, "{from}");
            assert!(serde_json::from_str::<Score>(&changed).is_err(), "{changed}");
        }
        for (other, number) in [(r#""unknown""#, None), (r#"{"stated":7}"#, Some(7))] {
            let json = json.replace(r#"{"measured":2}"#, other);
            assert_eq!(serde_json::from_str::<Score>(&json).unwrap().n_reference().number(), number);
        }
    }

    #[test]
    fn an_estimate_goes_with_its_statistic() {
        let line = Estimate::Extrapolated { points: 3, smallest: 2, seed: 0, slope: 1.0, residual: 0.0 };
        assert!(score(Statistic::FrechetInfinity, -0.1, line, 9, 9).is_ok());
        assert!(score(Statistic::FrechetInfinity, 1.0, Estimate::Whole, 9, 9).is_err());
        assert!(score(Statistic::Frechet, 1.0, line, 9, 9).is_err());
        assert!(score(Statistic::Kernel, -1e-4, Estimate::Whole, 9, 9).is_ok());
        let precision = Statistic::Precision { neighbours: 3 };
        assert!(score(precision.clone(), 0.5, Estimate::Whole, 4, 4).is_ok());
        assert!(score(precision.clone(), 0.5, Estimate::Whole, 3, 4).is_err());
        assert!(score(precision, f64::NAN, Estimate::Whole, 4, 4).is_err());
    }
}
