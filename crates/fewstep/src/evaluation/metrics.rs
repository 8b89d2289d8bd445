//! What is computed from the features, and how they are kept for it.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result};
use fewstep_eval::{
    Bootstrap, Extractor, Extrapolation, ImageFeatures, ImageMoments, KernelSubsets, Reference, Score,
};
use fewstep_torch::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::reference::ReferenceSet;

/// Neighbours of improved precision and recall, as published numbers have it.
const NEIGHBOURS: u32 = 3;

/// A metric, by the name that configs and flags have.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum MetricChoice {
    /// Frechet distance: FID in Inception's space.
    #[serde(alias = "fid")]
    Frechet,
    /// Frechet distance with a bootstrap interval.
    #[serde(alias = "fid-interval")]
    FrechetInterval,
    /// Frechet distance extrapolated to infinitely many images.
    #[serde(alias = "fid-infinity")]
    FrechetInfinity,
    /// Kernel distance, mean and deviation over subsets: KID in Inception's space.
    #[serde(alias = "kid")]
    Kernel,
    /// Improved precision and recall, k = 3.
    PrecisionRecall,
}

impl MetricChoice {
    /// Whether every row of the scored images must be kept.
    fn keeps_rows(self) -> bool {
        self != Self::Frechet
    }

    /// Every choice.
    pub const ALL: [Self; 5] =
        [Self::Frechet, Self::FrechetInterval, Self::FrechetInfinity, Self::Kernel, Self::PrecisionRecall];

    /// As configs and flags have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Frechet => "frechet",
            Self::FrechetInterval => "frechet-interval",
            Self::FrechetInfinity => "frechet-infinity",
            Self::Kernel => "kernel",
            Self::PrecisionRecall => "precision-recall",
        }
    }

    /// The fewest generated images, and the fewest of the reference, that it says something of.
    fn fewest(self) -> (u64, u64) {
        let neighbours = u64::from(NEIGHBOURS) + 1;
        match self {
            Self::Frechet | Self::FrechetInterval | Self::Kernel => (2, 2),
            // A line needs two sizes.
            Self::FrechetInfinity => (3, 2),
            Self::PrecisionRecall => (neighbours, neighbours),
        }
    }

    /// Whether every row of the reference is needed.
    pub fn needs_reference_rows(self) -> bool {
        matches!(self, Self::Kernel | Self::PrecisionRecall)
    }
}

impl FromStr for MetricChoice {
    type Err = String;

    /// By its name, or by the one that it has in Inception's space.
    fn from_str(name: &str) -> std::result::Result<Self, String> {
        serde_json::from_value(name.into()).map_err(|_| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("`{name}` is no metric: expected one of {names}")
        })
    }
}

/// A metric that cannot be computed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotMeasured {
    /// The metric.
    pub metric: MetricChoice,
    /// Why not.
    pub reason: String,
}

impl fmt::Display for NotMeasured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be measured: {}", self.metric.name(), self.reason)
    }
}

/// Which metrics can be had from so many generated images and so many of the reference, if that is known; and the others.
pub fn feasible(
    metrics: &[MetricChoice],
    generated: u64,
    reference: Option<u64>,
) -> (Vec<MetricChoice>, Vec<NotMeasured>) {
    let (mut can, mut cannot) = (Vec::new(), Vec::new());
    for &metric in metrics {
        let (least, least_of_reference) = metric.fewest();
        let mut lacks = Vec::new();
        if generated < least {
            lacks.push(format!("it needs at least {least} generated images, not {generated}"));
        }
        if let Some(have) = reference.filter(|&have| have < least_of_reference) {
            lacks.push(format!("it needs at least {least_of_reference} images of the data, not {have}"));
        }
        match lacks.is_empty() {
            true => can.push(metric),
            false => cannot.push(NotMeasured { metric, reason: lacks.join(", and ") }),
        }
    }
    (can, cannot)
}

/// Features of the images that are scored: sums where they are enough, else all rows.
pub(super) enum Collected {
    Moments(ImageMoments),
    Rows(ImageFeatures),
}

impl Collected {
    /// Nothing yet.
    pub(super) fn new(extractor: &Extractor, metrics: &[MetricChoice]) -> Result<Self> {
        Ok(if metrics.iter().any(|m| m.keeps_rows()) {
            Self::Rows(ImageFeatures::new(extractor))
        } else {
            Self::Moments(ImageMoments::new(extractor, Device::Cpu)?)
        })
    }

    /// Adds images, u8 `[n, C, H, W]`.
    pub(super) fn push(&mut self, extractor: &Extractor, images: &Tensor) -> Result<()> {
        match self {
            Self::Moments(moments) => moments.push(extractor, images)?,
            Self::Rows(rows) => rows.push(extractor, images)?,
        }
        Ok(())
    }

    /// Every metric's scores, each with the reference as its record names it.
    pub(super) fn scores(
        &self,
        metrics: &[MetricChoice],
        reference: &ReferenceSet,
    ) -> Result<Vec<(Score, Reference)>> {
        let rows = match self {
            Self::Moments(moments) => {
                return Ok(vec![(moments.frechet_against(&reference.stats)?, reference.stats.reference())]);
            }
            Self::Rows(rows) => rows,
        };
        let mut metrics = metrics.to_vec();
        metrics.sort_unstable();
        metrics.dedup();
        let stats = &reference.stats;
        let mut scores = Vec::new();
        for metric in metrics {
            let many =
                || reference.rows.as_ref().context("this metric needs every feature row of the reference");
            match metric {
                MetricChoice::Frechet => {
                    scores.push((rows.moments()?.frechet_against(stats)?, stats.reference()));
                }
                MetricChoice::FrechetInterval => {
                    scores.push((rows.frechet_interval(stats, &Bootstrap::default())?, stats.reference()));
                }
                MetricChoice::FrechetInfinity => {
                    let settings = extrapolation(rows.count());
                    scores.push((rows.frechet_infinity(stats, &settings)?, stats.reference()));
                }
                MetricChoice::Kernel => {
                    let (all, size) = (many()?, rows.count().min(many()?.count()).min(1000));
                    let score = rows.kernel(all, &KernelSubsets { size, ..KernelSubsets::default() })?;
                    scores.push((score, all.reference(reference.description())?));
                }
                MetricChoice::PrecisionRecall => {
                    let all = many()?;
                    let named = all.reference(reference.description())?;
                    let (precision, recall) = rows.precision_recall(all, NEIGHBOURS)?;
                    scores.extend([(precision, named.clone()), (recall, named)]);
                }
            }
        }
        Ok(scores)
    }
}

/// The paper's sizes where there are enough images for them, else from half of the images up.
fn extrapolation(count: u64) -> Extrapolation {
    let usual = Extrapolation::default();
    Extrapolation { smallest: usual.smallest.min(count / 2).max(2), ..usual }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MetricChoice::{Frechet, FrechetInfinity, FrechetInterval, Kernel, PrecisionRecall};

    const ALL: [MetricChoice; 5] = MetricChoice::ALL;

    #[test]
    fn what_cannot_be_had_says_which_side_has_too_few_images() {
        let names = |generated, reference| feasible(&ALL, generated, reference).0;
        assert_eq!(names(70, Some(1)), []);
        assert_eq!(names(70, Some(3)), [Frechet, FrechetInterval, FrechetInfinity, Kernel]);
        assert_eq!(names(2, Some(1797)), [Frechet, FrechetInterval, Kernel]);
        assert_eq!(names(4, None), ALL);
        let told = feasible(&[PrecisionRecall], 3, Some(2)).1[0].to_string();
        assert!(told.starts_with("precision-recall cannot be measured"), "{told}");
        assert!(told.contains("at least 4 generated images, not 3, and it needs"), "{told}");
    }

    /// The fewest images that each metric is said to need are enough for it, and one less is not.
    #[test]
    fn the_fewest_images_are_enough() {
        let shape = fewstep_eval::ImageShape { channels: 1, height: 1, width: 2 };
        let extractor = Extractor::pixels(shape).unwrap();
        let images = |n: u64, step: u8| {
            let bytes: Vec<u8> = (0..2 * n as u8).map(|i| (i * i).wrapping_mul(step)).collect();
            Tensor::from_slice(&bytes).view([n as i64, 1, 1, 2])
        };
        let measured = |metric: MetricChoice, generated: u64, reference: u64| {
            let mut rows = ImageFeatures::new(&extractor);
            rows.push(&extractor, &images(reference, 7))?;
            let stats = fewstep_eval::ReferenceStats::of(&rows.moments()?, "test")?;
            let reference = ReferenceSet { stats, rows: Some(rows) };
            let mut collected = Collected::new(&extractor, &[metric])?;
            collected.push(&extractor, &images(generated, 5))?;
            collected.scores(&[metric], &reference)
        };
        for metric in ALL {
            let (generated, reference) = metric.fewest();
            measured(metric, generated, reference).unwrap_or_else(|e| panic!("{metric:?}: {e:#}"));
            assert!(measured(metric, generated - 1, reference).is_err(), "{metric:?}");
            assert!(measured(metric, generated, reference - 1).is_err(), "{metric:?}");
        }
    }
}
