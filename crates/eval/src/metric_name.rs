//! The name of a metric, which follows from the statistic and the feature space.
//!
//! Only this crate makes a [`MetricName`], from a statistic and the feature space of its rows. "FID" is the Frechet
//! distance in pool3 of the Inception network of 2015-12-05, and "KID" the kernel distance in the same space. Every other
//! name contains the space.

use crate::feature_space::FeatureSpace;
use crate::statistic::Statistic;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A statistic in a feature space, which together determine the metric's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct MetricName {
    name: String,
    statistic: Statistic,
    space: FeatureSpace,
}

impl MetricName {
    pub(crate) fn new(statistic: Statistic, space: FeatureSpace) -> Self {
        let described = space.description();
        let own = statistic.name_in_fids_space().filter(|_| described.makes_fid());
        let name = own.map_or_else(|| format!("{}[{}]", statistic.name(), described.label()), str::to_owned);
        Self { name, statistic, space }
    }

    /// The name: `FID`, `precision[pool3]`, `frechet[pixels]`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The statistic.
    #[must_use]
    pub fn statistic(&self) -> &Statistic {
        &self.statistic
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
        match self.space.description().variant() {
            Some(variant) => write!(f, "{} ({variant})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The stored form. It includes the name for people who read the file; a reader checks that it is the right name.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    name: String,
    statistic: Statistic,
    space: FeatureSpace,
}

impl From<MetricName> for Stored {
    fn from(MetricName { name, statistic, space }: MetricName) -> Self {
        Self { name, statistic, space }
    }
}

impl TryFrom<Stored> for MetricName {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let metric = Self::new(stored.statistic, stored.space);
        if stored.name == metric.name {
            return Ok(metric);
        }
        Err(format!("this metric in {} is called {}, not {}", metric.space, metric.name, stored.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature_space::ImageShape;
    use crate::feature_space::NamedSpace;
    use crate::feature_space::{PoolThree, Protocol};
    use crate::name::Name;
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

    #[test]
    fn what_is_from_outside_is_called_what_it_calls_itself_and_never_fid() {
        let name = |text: &str| Name::new(text).unwrap();
        let own =
            FeatureSpace::Named(NamedSpace { name: name("made-up"), digest: Digest::of(b"1"), width: 1 });
        let fid = FeatureSpace::PoolThree(PoolThree::fid(Protocol::Tf));
        let shift = Statistic::Named(name("mine"));
        for (statistic, space, called) in [
            (Statistic::Frechet, own.clone(), "frechet[made-up]"),
            (shift.clone(), own, "mine[made-up]"),
            (shift, fid, "mine[pool3]"),
        ] {
            let metric = MetricName::new(statistic, space);
            assert_eq!(metric.name(), called);
            let json = serde_json::to_string(&metric).unwrap();
            assert_eq!(serde_json::from_str::<MetricName>(&json).unwrap(), metric);
            for lie in ["FID", "KID", "frechet[pool3]"] {
                let lie = json.replace(&format!(r#""name":"{called}""#), &format!(r#""name":"{lie}""#));
                assert!(serde_json::from_str::<MetricName>(&lie).is_err(), "{lie}");
            }
        }
        let json = r#"{"name":"kid[pixels]","statistic":{"named":"kid"},"space":{"pixels":{"channels":1,"height":1,"width":1}}}"#;
        assert!(serde_json::from_str::<MetricName>(json).unwrap_err().to_string().contains("`kid`"));
        let fair = json.replace("kid", "mine");
        assert_eq!(serde_json::from_str::<MetricName>(&fair).unwrap().name(), "mine[pixels]");
    }
}
