//! The name of a metric, which follows from what was computed and where.
//!
//! A [`Metric`] is made inside this crate only, from a statistic and the feature space of the rows that went
//! into it. "FID" names one pair, Frechet in Inception's pool3; a Frechet distance in any other space has the
//! space in its name.

use crate::features::FeatureSpace;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is computed from two sets of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Statistic {
    /// Squared Frechet distance between fitted Gaussians.
    Frechet,
}

/// A statistic in a feature space, and the name that goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Named", into = "Named")]
pub struct Metric {
    statistic: Statistic,
    space: FeatureSpace,
}

impl Metric {
    pub(crate) fn new(statistic: Statistic, space: FeatureSpace) -> Self {
        Self { statistic, space }
    }

    /// What people call it: `frechet[pixels]`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (self.statistic, &self.space) {
            (Statistic::Frechet, FeatureSpace::Pixels(_)) => "frechet[pixels]",
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

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// As stored: the name stands beside what it follows from, for whoever reads the file; on reading, the two
/// must agree.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    statistic: Statistic,
    space: FeatureSpace,
}

impl From<Metric> for Named {
    fn from(metric: Metric) -> Self {
        Self { name: metric.name().to_owned(), statistic: metric.statistic, space: metric.space }
    }
}

impl TryFrom<Named> for Metric {
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

    #[test]
    fn the_stored_name_must_be_the_true_one() {
        let space = FeatureSpace::Pixels(ImageShape { channels: 1, height: 8, width: 8 });
        let metric = Metric::new(Statistic::Frechet, space);
        let json = serde_json::to_string(&metric).unwrap();
        let space = r#"{"pixels":{"channels":1,"height":8,"width":8}}"#;
        assert_eq!(json, format!(r#"{{"name":"frechet[pixels]","statistic":"frechet","space":{space}}}"#));
        assert_eq!(serde_json::from_str::<Metric>(&json).unwrap(), metric);
        let lie = json.replace("frechet[pixels]", "FID");
        let told = serde_json::from_str::<Metric>(&lie).unwrap_err().to_string();
        assert!(told.contains("is called frechet[pixels], not FID"), "{told}");
        assert!(serde_json::from_str::<Metric>(r#"{"statistic":"frechet","space":"fid"}"#).is_err());
    }
}
