//! The two sides of a measurement, as a metric sees them: the features of the generated images, and the reference.

use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::extractor::Extractor;
use crate::feature_space::FeatureSpace;
use crate::image_features::ImageFeatures;
use crate::image_moments::ImageMoments;
use crate::name::Name;
use crate::record::Reference;
use crate::reference::ReferenceStats;
use crate::score::{Images, ReferenceCount, Score};
use crate::statistic::Statistic;
use std::cell::OnceCell;
use tch::{Device, Tensor};

/// Features of the generated images: their sums where these are enough, else all rows.
#[derive(Debug)]
pub struct GeneratedSide(Kept);

#[derive(Debug)]
enum Kept {
    Sums(ImageMoments),
    /// With their moments, once a metric has asked for them.
    Rows(ImageFeatures, OnceCell<ImageMoments>),
}

impl GeneratedSide {
    /// No images yet, in the space of `extractor`; of each image its whole row is kept, or only what it adds to the sums.
    pub(crate) fn keeping(extractor: &Extractor, rows: bool) -> Result<Self> {
        Ok(Self(match rows {
            true => Kept::Rows(ImageFeatures::new(extractor), OnceCell::new()),
            false => Kept::Sums(ImageMoments::new(extractor, Device::Cpu)?),
        }))
    }

    /// Adds images.
    ///
    /// # Shapes
    /// `images [B, C, H, W]`, u8.
    ///
    /// # Errors
    /// When the extractor has another space or does not accept these images, or a feature is not finite. What is kept is
    /// then unchanged.
    pub fn push(&mut self, extractor: &Extractor, images: &Tensor) -> Result<()> {
        match &mut self.0 {
            Kept::Sums(moments) => moments.push(extractor, images),
            Kept::Rows(rows, moments) => {
                moments.take();
                rows.push(extractor, images)
            }
        }
    }

    /// Adds images by their rows `[B, width]`, which an extractor of the same space gave elsewhere; of them so many are grey.
    ///
    /// # Errors
    /// Rows of another width, or a feature that is not finite. What is kept is then unchanged.
    pub fn push_rows(&mut self, rows: &Tensor, n_grey: u64) -> Result<()> {
        match &mut self.0 {
            Kept::Sums(moments) => moments.push_rows(rows, n_grey),
            Kept::Rows(kept, moments) => {
                moments.take();
                kept.push_rows(rows, n_grey)
            }
        }
    }

    /// The feature space.
    #[must_use]
    pub fn space(&self) -> &FeatureSpace {
        match &self.0 {
            Kept::Sums(moments) => moments.space(),
            Kept::Rows(rows, _) => rows.space(),
        }
    }

    /// Number of images.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.images().count
    }

    fn images(&self) -> Images {
        match &self.0 {
            Kept::Sums(moments) => moments.images(),
            Kept::Rows(rows, _) => rows.images(),
        }
    }

    /// Count, mean and covariance.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn moments(&self) -> Result<&ImageMoments> {
        match &self.0 {
            Kept::Sums(moments) => Ok(moments),
            Kept::Rows(rows, moments) => match moments.get() {
                Some(moments) => Ok(moments),
                None => {
                    let made = rows.moments()?;
                    Ok(moments.get_or_init(|| made))
                }
            },
        }
    }

    /// Every row, with the space.
    ///
    /// # Errors
    /// When only sums were kept: no metric's [`needs_rows`](crate::Metric::needs_rows) says that rows are needed.
    pub fn features(&self) -> Result<&ImageFeatures> {
        match &self.0 {
            Kept::Sums(_) => Err(Error::NoRows { of: "generated images", asks: "needs_rows" }),
            Kept::Rows(rows, _) => Ok(rows),
        }
    }

    /// Every row, `[n, width]`, in the order of the images.
    ///
    /// # Errors
    /// As [`GeneratedSide::features`], and when memory runs out.
    pub fn rows(&self) -> Result<Tensor> {
        self.features()?.rows()
    }

    /// The number of a metric outside these crates. Its name in a record is `name` with the feature space, such as
    /// `mean-shift[pixels]`.
    ///
    /// # Errors
    /// When the spaces of the two sides differ, there are no images, or `value` is not finite.
    pub fn score(
        &self,
        name: Name,
        value: f64,
        estimate: Estimate,
        reference: &ReferenceSide,
    ) -> Result<Score> {
        self.number(Statistic::Named(name), value, estimate, reference)
    }

    /// A number of these images.
    pub(crate) fn number(
        &self,
        statistic: Statistic,
        value: f64,
        estimate: Estimate,
        reference: &ReferenceSide,
    ) -> Result<Score> {
        reference.stats.require_space("GeneratedSide::score", self.space())?;
        Score::new(statistic, self.space(), (value, estimate), self.images(), reference.count())
    }
}

/// The reference: mean and covariance, and every row where a metric needs them.
#[derive(Debug, Clone, Copy)]
pub struct ReferenceSide<'a> {
    /// Mean and covariance, with their space, count and description.
    pub stats: &'a ReferenceStats,
    rows: Option<&'a ImageFeatures>,
}

impl<'a> ReferenceSide<'a> {
    /// The reference with these statistics, and with its rows if they are there.
    ///
    /// # Errors
    /// When the rows are of another space than the statistics.
    pub fn new(stats: &'a ReferenceStats, rows: Option<&'a ImageFeatures>) -> Result<Self> {
        rows.map_or(Ok(()), |rows| stats.require_space("ReferenceSide::new", rows.space()))?;
        Ok(Self { stats, rows })
    }

    /// Number of images, and how it is known.
    #[must_use]
    pub fn count(&self) -> ReferenceCount {
        self.stats.count()
    }

    /// Every row, with the space.
    ///
    /// # Errors
    /// When they are not there: the metric's [`needs_reference_rows`](crate::Metric::needs_reference_rows) does not say that they are needed.
    pub fn features(&self) -> Result<&'a ImageFeatures> {
        self.rows.ok_or(Error::NoRows { of: "reference", asks: "needs_reference_rows" })
    }

    /// Every row, `[n, width]`, in the order of the images.
    ///
    /// # Errors
    /// As [`ReferenceSide::features`], and when memory runs out.
    pub fn rows(&self) -> Result<Tensor> {
        self.features()?.rows()
    }

    /// What the record of a number says of the reference, if it depends on its mean and covariance only.
    #[must_use]
    pub fn statistics(&self) -> Reference {
        self.stats.reference()
    }

    /// What the record of a number says of the reference, if it depends on every row.
    ///
    /// # Errors
    /// As [`ReferenceSide::rows`].
    pub fn all_rows(&self) -> Result<Reference> {
        self.features()?.reference(self.stats.description())
    }
}
