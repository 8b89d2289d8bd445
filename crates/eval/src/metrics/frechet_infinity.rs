//! The Frechet distance extrapolated to infinitely many images, as a metric.

use crate::error::Result;
use crate::estimate::Estimate;
use crate::image_features::ImageFeatures;
use crate::metric::Metric;
use crate::record::Reference;
use crate::reference::ReferenceStats;
use crate::resample::{Extrapolation, frechet_infinity};
use crate::score::Score;
use crate::sides::{GeneratedSide, ReferenceSide};
use crate::statistic::Statistic;

/// The Frechet distance at infinitely many images, from a line through 15 sizes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrechetInfinity;

impl Metric for FrechetInfinity {
    fn name(&self) -> &str {
        "frechet-infinity"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["fid-infinity"]
    }

    /// A line needs two sizes.
    fn fewest(&self) -> (u64, u64) {
        (3, 2)
    }

    fn needs_rows(&self) -> bool {
        true
    }

    fn scores(
        &self,
        generated: &GeneratedSide,
        reference: &ReferenceSide,
    ) -> Result<Vec<(Score, Reference)>> {
        let score = generated.features()?.frechet_infinity(reference.stats, &sizes(generated.count()))?;
        Ok(vec![(score, reference.statistics())])
    }
}

/// The paper's sizes where there are enough images for them, else from half of the images up.
fn sizes(count: u64) -> Extrapolation {
    let usual = Extrapolation::default();
    Extrapolation { smallest: usual.smallest.min(count / 2).max(2), ..usual }
}

impl ImageFeatures {
    /// Frechet distance of these (generated) images from a reference, extrapolated to infinitely many.
    ///
    /// # Errors
    /// When the spaces differ, or as [`frechet_infinity`].
    pub fn frechet_infinity(&self, reference: &ReferenceStats, settings: &Extrapolation) -> Result<Score> {
        reference.require_space("ImageFeatures::frechet_infinity", self.space())?;
        let line = frechet_infinity(&self.rows()?, reference.gaussian(), settings)?;
        let Extrapolation { points, smallest, seed } = *settings;
        let (slope, residual) = (line.slope, line.residual);
        let estimate = Estimate::Extrapolated { points, smallest, seed, slope, residual };
        self.score(Statistic::FrechetInfinity, line.intercept, estimate, reference.count())
    }
}
