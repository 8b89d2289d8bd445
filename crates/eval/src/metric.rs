//! [`Metric`]: from the features of two sets of images to numbers.
//!
//! The metrics that configs and `--metrics` know are in `metrics/`; one of yours is a type that implements the trait.

use crate::error::Result;
use crate::extractor::Extractor;
use crate::record::Reference;
use crate::score::Score;
use crate::sides::{GeneratedSide, ReferenceSide};

/// A metric: what it needs, and how it is computed.
///
/// ```
/// use fewstep_eval::{Error, Estimate, GeneratedSide, Metric, Name, Reference, ReferenceSide, Result, Score};
/// use fewstep_torch::Kind;
///
/// /// Squared distance of the means of two sets of features.
/// struct MeanShift;
///
/// impl Metric for MeanShift {
///     fn name(&self) -> &str {
///         "mean-shift"
///     }
///
///     fn scores(&self, generated: &GeneratedSide, reference: &ReferenceSide) -> Result<Vec<(Score, Reference)>> {
///         let shift = generated.moments()?.moments().mean()? - reference.stats.gaussian().mean();
///         let score = generated.score(Name::new("mean-shift")?, shift.dot(&shift), Estimate::Whole, reference)?;
///         Ok(vec![(score, reference.statistics())])
///     }
/// }
///
/// assert!(!MeanShift.needs_rows() && Name::new("FID").is_err());
/// # Ok::<(), Error>(())
/// ```
pub trait Metric {
    /// Its name, as messages have it, and as configs and flags do for the metrics of this crate.
    fn name(&self) -> &str;

    /// Other names that users write for a metric of this crate.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }

    /// The fewest generated images, and the fewest of the reference, that it says something of.
    fn fewest(&self) -> (u64, u64) {
        (2, 2)
    }

    /// Whether it needs every feature row of the generated images, beside mean and covariance.
    fn needs_rows(&self) -> bool {
        false
    }

    /// Whether it needs every feature row of the reference, beside mean and covariance.
    fn needs_reference_rows(&self) -> bool {
        false
    }

    /// Its numbers, each with what the record says of the reference: [`ReferenceSide::statistics`] for a number of its mean
    /// and covariance, [`ReferenceSide::all_rows`] for one of its rows. A metric outside these crates makes a number by
    /// [`GeneratedSide::score`]. Both sides are in the same feature space.
    ///
    /// # Errors
    /// Too few images, or features that the metric cannot use. An error of yours goes through
    /// [`Error::other`](crate::Error::other).
    fn scores(&self, generated: &GeneratedSide, reference: &ReferenceSide)
    -> Result<Vec<(Score, Reference)>>;
}

impl GeneratedSide {
    /// No images yet, in the space of `extractor`; what is kept of them is what `metrics` need.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new(extractor: &Extractor, metrics: &[&dyn Metric]) -> Result<Self> {
        Self::keeping(extractor, metrics.iter().any(|metric| metric.needs_rows()))
    }

    /// The numbers of all metrics, in their order, each with what the record says of the reference.
    ///
    /// # Errors
    /// When the spaces of the two sides differ, or a metric fails.
    pub fn scores(
        &self,
        metrics: &[&dyn Metric],
        reference: &ReferenceSide,
    ) -> Result<Vec<(Score, Reference)>> {
        reference.stats.require_space("GeneratedSide::scores", self.space())?;
        let mut scores = Vec::new();
        for metric in metrics {
            scores.extend(metric.scores(self, reference)?);
        }
        Ok(scores)
    }
}
