//! The Frechet distance with a bootstrap interval, as a metric.

use crate::error::Result;
use crate::estimate::Estimate;
use crate::image_features::ImageFeatures;
use crate::metric::Metric;
use crate::record::Reference;
use crate::reference::ReferenceStats;
use crate::resample::{Bootstrap, frechet_interval};
use crate::score::Score;
use crate::sides::{GeneratedSide, ReferenceSide};
use crate::statistic::Statistic;

/// The Frechet distance with an interval of 95 % from 50 draws of the generated images.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrechetInterval;

impl Metric for FrechetInterval {
    fn name(&self) -> &str {
        "frechet-interval"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["fid-interval"]
    }

    fn needs_rows(&self) -> bool {
        true
    }

    fn scores(
        &self,
        generated: &GeneratedSide,
        reference: &ReferenceSide,
    ) -> Result<Vec<(Score, Reference)>> {
        let score = generated.features()?.frechet_interval(reference.stats, &Bootstrap::default())?;
        Ok(vec![(score, reference.statistics())])
    }
}

impl ImageFeatures {
    /// Frechet distance of these (generated) images from a reference, with a bootstrap interval.
    ///
    /// # Errors
    /// When the spaces differ, or as [`frechet_interval`].
    pub fn frechet_interval(&self, reference: &ReferenceStats, settings: &Bootstrap) -> Result<Score> {
        reference.require_space("ImageFeatures::frechet_interval", self.space())?;
        let found = frechet_interval(&self.rows()?, reference.gaussian(), settings)?;
        let estimate = Estimate::Bootstrap {
            resamples: settings.resamples,
            seed: settings.seed,
            level: settings.level,
            low: found.low,
            high: found.high,
            deviation: found.deviation,
        };
        self.score(Statistic::Frechet, found.value, estimate, reference.count())
    }
}
