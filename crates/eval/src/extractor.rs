//! [`Extractor`]: whatever maps images to feature rows, with the space of the rows beside it.
//!
//! Only an extractor determines a space, and an extractor from outside these crates is of a space with a name of its own,
//! so a distance there cannot be reported under the name of a distance in Inception's pool3.

use crate::error::{During, Error, Result};
use crate::feature_space::FeatureSpace;
use crate::rows::checked_rows;
use std::fmt;
use tch::{Kind, Tensor};

/// Maps 8-bit images to feature rows.
pub trait ExtractFeatures: Send {
    /// The space of the rows. Two extractors with the same space must give the same rows; outside these crates it is a
    /// [`FeatureSpace::Named`].
    fn space(&self) -> FeatureSpace;

    /// Feature rows of images, which may be none.
    ///
    /// # Shapes
    /// `images [B, C, H, W]` u8 -> `[B, width]`, floating point, on any device.
    ///
    /// # Errors
    /// Images that have no features in this space. An error of yours goes through [`Error::other`].
    fn features(&self, images: &Tensor) -> Result<Tensor>;

    /// How many of these images are grey, so that [`ExtractFeatures::features`] replicates their channel.
    fn n_grey(&self, images: &Tensor) -> u64 {
        let _ = images;
        0
    }
}

/// Maps 8-bit images to feature rows.
pub struct Extractor {
    features: Box<dyn ExtractFeatures>,
    space: FeatureSpace,
}

impl Extractor {
    /// An extractor outside these crates.
    ///
    /// # Errors
    /// Its space is one of this crate's, or has no features.
    pub fn of(features: impl ExtractFeatures + 'static) -> Result<Self> {
        let made = Self::built_in(features);
        if matches!(made.space, FeatureSpace::Named(_)) && made.width() > 0 {
            return Ok(made);
        }
        let expected = "a feature space with a name of its own and a feature or more".to_owned();
        Err(Error::Input { operation: "Extractor::of", expected, got: made.space.to_string() })
    }

    /// An extractor of this crate.
    pub(crate) fn built_in(features: impl ExtractFeatures + 'static) -> Self {
        let space = features.space();
        Self { features: Box::new(features), space }
    }

    /// The space of this extractor's rows.
    #[must_use]
    pub fn space(&self) -> FeatureSpace {
        self.space.clone()
    }

    /// Features per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.space.width()
    }

    /// Checks that the extractor accepts images of shape `[C, H, W]`, before there are any.
    ///
    /// # Errors
    /// The error that [`Extractor::features`] would return for such images.
    pub fn accepts(&self, [channels, height, width]: [i64; 3]) -> Result<()> {
        let on = (Kind::Uint8, tch::Device::Cpu);
        let none = Tensor::f_zeros([0, channels, height, width], on).during("shape of images")?;
        self.features(&none).map(|_| ())
    }

    /// Feature rows of images.
    ///
    /// # Shapes
    /// `images [B, C, H, W]` u8 -> `[B, width]`, floating point, on the extractor's device; for pixels, on the
    /// images' device.
    ///
    /// # Errors
    /// When the images are not u8 or have a shape that the extractor does not accept, or the extractor fails or gives
    /// anything but a row per image.
    pub fn features(&self, images: &Tensor) -> Result<Tensor> {
        const OPERATION: &str = "features of images";
        let rows = checked_rows(OPERATION, &self.features.features(images)?, Some(self.width()))?;
        let (n, got) = (images.size()[0], rows.size()[0]);
        if n != got {
            let (expected, got) = (format!("a row for each of {n} images"), got.to_string());
            return Err(Error::Input { operation: OPERATION, expected, got });
        }
        Ok(rows)
    }

    /// How many of these images are grey, so that [`Extractor::features`] replicates their channel.
    #[must_use]
    pub fn n_grey(&self, images: &Tensor) -> u64 {
        self.features.n_grey(images)
    }
}

impl fmt::Debug for Extractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extractor").field("space", &self.space).finish_non_exhaustive()
    }
}
