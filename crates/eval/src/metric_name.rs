//! The name of a metric, which follows from the statistic and the feature space.
//!
//! Only this crate makes a [`MetricName`], from a statistic and the feature space of its rows. "FID" is the Frechet
//! distance in pool3 of the Inception network of 2015-12-05, and "KID" the kernel distance in the same space. In any
//! other space, the name contains the space.

use crate::features::FeatureSpace;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is computed from two sets of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// A statistic in a feature space, which together determine the metric's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Named", into = "Named")]
pub struct MetricName {
    statistic: Statistic,
    space: FeatureSpace,
}

impl MetricName {
    pub(crate) fn new(statistic: Statistic, space: FeatureSpace) -> Self {
        Self { statistic, space }
    }

    /// The name: `FID`, `precision[pool3]`, `frechet[pixels]`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        use Statistic::{Frechet, FrechetInfinity, Kernel, Precision, Recall};
        match (&self.space, self.statistic) {
            (FeatureSpace::Pixels(_), statistic) => match statistic {
                Frechet => "frechet[pixels]",
                FrechetInfinity => "frechet-infinity[pixels]",
                Kernel => "kernel[pixels]",
                Precision { .. } => "precision[pixels]",
                Recall { .. } => "recall[pixels]",
            },
            (FeatureSpace::PoolThree(space), statistic) if space.is_fid() => match statistic {
                Frechet => "FID",
                FrechetInfinity => "FID-infinity",
                Kernel => "KID",
                Precision { .. } => "precision[pool3]",
                Recall { .. } => "recall[pool3]",
            },
            (FeatureSpace::PoolThree(_), statistic) => match statistic {
                Frechet => "frechet[other pool3]",
                FrechetInfinity => "frechet-infinity[other pool3]",
                Kernel => "kernel[other pool3]",
                Precision { .. } => "precision[other pool3]",
                Recall { .. } => "recall[other pool3]",
            },
        }
    }

    /// The statistic.
    #[must_use]
    pub fn statistic(&self) -> Statistic {
        self.statistic
    }

    /// The feature space.
    #[must_use]
    pub fn space(&self) -> &FeatureSpace {
        &self.space
    }
}

impl fmt::Display for MetricName {
    /// The name, and the protocol if the space has one: `FID (tf)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.space {
            FeatureSpace::PoolThree(space) => write!(f, "{} ({})", self.name(), space.protocol),
            FeatureSpace::Pixels(_) => f.write_str(self.name()),
        }
    }
}

/// The stored form. It includes the name for people who read the file; a reader checks that it is the right name.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    statistic: Statistic,
    space: FeatureSpace,
}

impl From<MetricName> for Named {
    fn from(metric: MetricName) -> Self {
        Self { name: metric.name().to_owned(), statistic: metric.statistic, space: metric.space }
    }
}

impl TryFrom<Named> for MetricName {
    type Error = String;

    fn try_from(named: Named) -> Result<Self, String> {
        let metric = Self::new(named.statistic, named.space);
        if named.name == metric.name() {
            return Ok(metric);
        }
        Err(format!("this metric in {} is called {}, not {}", metric.space, metric.name(), named.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::ImageShape;
    use crate::inception::{PoolThree, Protocol};
    use fewstep_files::Digest;

    const STATISTICS: [Statistic; 5] = [
        Statistic::Frechet,
        Statistic::FrechetInfinity,
        Statistic::Kernel,
        Statistic::Precision { neighbours: 3 },
        Statistic::Recall { neighbours: 3 },
    ];

    #[test]
    fn the_stored_name_must_be_the_true_one() {
        let space = FeatureSpace::Pixels(ImageShape { channels: 1, height: 8, width: 8 });
        let metric = MetricName::new(Statistic::Frechet, space);
        let json = serde_json::to_string(&metric).unwrap();
        let space = r#"{"pixels":{"channels":1,"height":8,"width":8}}"#;
        assert_eq!(json, format!(r#"{{"name":"frechet[pixels]","statistic":"frechet","space":{space}}}"#));
        assert_eq!(serde_json::from_str::<MetricName>(&json).unwrap(), metric);
        let lie = json.replace("frechet[pixels]", "FID");
        let message = serde_json::from_str::<MetricName>(&lie).unwrap_err().to_string();
        assert!(message.contains("is called frechet[pixels], not FID"), "{message}");
        assert!(serde_json::from_str::<MetricName>(r#"{"statistic":"frechet","space":"fid"}"#).is_err());
    }

    #[test]
    fn fid_is_frechet_in_the_one_space_and_nothing_else() {
        let fid = PoolThree::fid(Protocol::Tf);
        let other = PoolThree { weights: Digest::of(b"other"), ..fid.clone() };
        let pixels = FeatureSpace::Pixels(ImageShape { channels: 3, height: 1, width: 1 });
        let spaces = [FeatureSpace::PoolThree(fid), FeatureSpace::PoolThree(other), pixels];
        let metrics = spaces.iter().flat_map(|s| STATISTICS.map(|t| MetricName::new(t, s.clone())));
        let metrics: Vec<MetricName> = metrics.collect();
        let mut names: Vec<&str> = metrics.iter().map(MetricName::name).collect();
        assert_eq!(names[..3], ["FID", "FID-infinity", "KID"]);
        assert_eq!(metrics[0].to_string(), "FID (tf)");
        for metric in &metrics {
            let json = serde_json::to_string(metric).unwrap();
            assert_eq!(serde_json::from_str::<MetricName>(&json).unwrap(), *metric, "{json}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), metrics.len(), "no two share a name");
    }
}
