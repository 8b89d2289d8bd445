//! What is computed from the features, and how they are kept for it.

use anyhow::{Context, Result};
use clap::ValueEnum;
use fewstep_eval::{
    Bootstrap, Extractor, Extrapolation, ImageFeatures, ImageMoments, KernelSubsets, Reference, Score,
};
use fewstep_torch::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::reference::ReferenceSet;

/// Neighbours of improved precision and recall, as published numbers have it.
const NEIGHBOURS: u32 = 3;

/// A metric, by the name that configs and flags have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MetricChoice {
    /// Frechet distance: FID in Inception's space.
    #[serde(alias = "fid")]
    #[value(alias = "fid")]
    Frechet,
    /// Frechet distance with a bootstrap interval.
    #[serde(alias = "fid-interval")]
    #[value(alias = "fid-interval")]
    FrechetInterval,
    /// Frechet distance extrapolated to infinitely many images.
    #[serde(alias = "fid-infinity")]
    #[value(alias = "fid-infinity")]
    FrechetInfinity,
    /// Kernel distance, mean and deviation over subsets: KID in Inception's space.
    #[serde(alias = "kid")]
    #[value(alias = "kid")]
    Kernel,
    /// Improved precision and recall, k = 3.
    PrecisionRecall,
}

impl MetricChoice {
    /// Whether every row of the scored images must be kept.
    fn keeps_rows(self) -> bool {
        self != Self::Frechet
    }

    /// Whether every row of the reference is needed.
    pub(crate) fn needs_reference_rows(self) -> bool {
        matches!(self, Self::Kernel | Self::PrecisionRecall)
    }
}

/// Features of the images that are scored: sums where they are enough, else all rows.
pub(crate) enum Collected {
    Moments(ImageMoments),
    Rows(ImageFeatures),
}

impl Collected {
    /// Nothing yet.
    pub(crate) fn new(extractor: &Extractor, metrics: &[MetricChoice]) -> Result<Self> {
        Ok(if metrics.iter().any(|m| m.keeps_rows()) {
            Self::Rows(ImageFeatures::new(extractor))
        } else {
            Self::Moments(ImageMoments::new(extractor, Device::Cpu)?)
        })
    }

    /// Adds images, u8 `[n, C, H, W]`.
    pub(crate) fn push(&mut self, extractor: &Extractor, images: &Tensor) -> Result<()> {
        match self {
            Self::Moments(moments) => moments.push(extractor, images)?,
            Self::Rows(rows) => rows.push(extractor, images)?,
        }
        Ok(())
    }

    /// Every metric's scores, each with the reference as its record names it.
    pub(crate) fn scores(
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
