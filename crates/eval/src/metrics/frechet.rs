//! The Frechet distance as a metric: FID in Inception's space. The mathematics is in `frechet.rs` of this crate, since the
//! interval and the extrapolation use it too.

use crate::error::Result;
use crate::estimate::Estimate;
use crate::feature_space::same_space;
use crate::frechet::frechet_distance;
use crate::image_moments::ImageMoments;
use crate::metric::Metric;
use crate::record::Reference;
use crate::reference::ReferenceStats;
use crate::score::{ReferenceCount, Score};
use crate::sides::{GeneratedSide, ReferenceSide};
use crate::statistic::Statistic;

/// The Frechet distance. Only sums are kept of the images.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frechet;

impl Metric for Frechet {
    fn name(&self) -> &str {
        "frechet"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["fid"]
    }

    fn scores(
        &self,
        generated: &GeneratedSide,
        reference: &ReferenceSide,
    ) -> Result<Vec<(Score, Reference)>> {
        let score = generated.moments()?.frechet_against(reference.stats)?;
        Ok(vec![(score, reference.statistics())])
    }
}

impl ImageMoments {
    /// Frechet distance of these (generated) images from a reference.
    ///
    /// # Errors
    /// When the spaces differ or either side has fewer than two images.
    pub fn frechet(&self, reference: &Self) -> Result<Score> {
        same_space("ImageMoments::frechet", self.space(), reference.space())?;
        let value = frechet_distance(&self.moments().gaussian()?, &reference.moments().gaussian()?)?;
        self.frechet_score(value, ReferenceCount::Measured(reference.moments().count()))
    }

    /// Frechet distance of these (generated) images from a stored reference.
    ///
    /// # Errors
    /// When the reference has another feature space, or there are fewer than two images.
    pub fn frechet_against(&self, reference: &ReferenceStats) -> Result<Score> {
        reference.require_space("ImageMoments::frechet_against", self.space())?;
        let value = frechet_distance(&self.moments().gaussian()?, reference.gaussian())?;
        self.frechet_score(value, reference.count())
    }

    fn frechet_score(&self, value: f64, n_reference: ReferenceCount) -> Result<Score> {
        Score::new(Statistic::Frechet, self.space(), (value, Estimate::Whole), self.images(), n_reference)
    }
}
