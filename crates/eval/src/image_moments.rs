//! Moments with their feature space, so that the name of a Frechet distance follows from how it was computed. Images
//! are not kept: only their count, mean and covariance are.

use crate::error::{Error, Result};
use crate::extractor::Extractor;
use crate::feature_space::{FeatureSpace, same_space};
use crate::moments::Moments;
use crate::score::Images;
use tch::{Device, Tensor};

/// Moments of a stream of 8-bit images in one feature space.
#[derive(Debug)]
pub struct ImageMoments {
    space: FeatureSpace,
    moments: Moments,
    n_grey: u64,
}

impl ImageMoments {
    /// No images yet, in the space of `extractor`; the sums are on `device`.
    ///
    /// # Errors
    /// When the device runs out of memory.
    pub fn new(extractor: &Extractor, device: Device) -> Result<Self> {
        Ok(Self { space: extractor.space(), moments: Moments::new(extractor.width(), device)?, n_grey: 0 })
    }

    pub(crate) fn from_parts(space: FeatureSpace, moments: Moments, n_grey: u64) -> Self {
        Self { space, moments, n_grey }
    }

    /// Adds images.
    ///
    /// # Shapes
    /// `images [B, C, H, W]`, u8.
    ///
    /// # Errors
    /// When the extractor has another space or does not accept these images, or a feature is not finite. The moments
    /// are then unchanged.
    pub fn push(&mut self, extractor: &Extractor, images: &Tensor) -> Result<()> {
        same_space("ImageMoments::push", &self.space, &extractor.space())?;
        self.push_rows(&extractor.features(images)?, extractor.n_grey(images))
    }

    /// Adds images by their rows `[B, width]`, which an extractor of the same space gave elsewhere; of them so many are grey.
    ///
    /// # Errors
    /// Rows of another width, or a feature that is not finite. The moments are then unchanged.
    pub fn push_rows(&mut self, rows: &Tensor, n_grey: u64) -> Result<()> {
        self.moments.push(rows)?;
        self.n_grey += n_grey;
        Ok(())
    }

    /// Adds the images of another shard.
    ///
    /// # Errors
    /// When the shard has another space.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        same_space("ImageMoments::merge", &self.space, &other.space)?;
        self.moments.merge(&other.moments)?;
        self.n_grey += other.n_grey;
        Ok(())
    }

    /// The feature space.
    #[must_use]
    pub fn space(&self) -> &FeatureSpace {
        &self.space
    }

    /// The moments, without their space.
    #[must_use]
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// Number of grey images whose channel was replicated.
    #[must_use]
    pub fn n_grey(&self) -> u64 {
        self.n_grey
    }

    /// Checks that there are at least `asked` images.
    ///
    /// # Errors
    /// When there are fewer: a metric over fewer images than requested is another metric.
    pub fn require(&self, asked: u64) -> Result<()> {
        let got = self.moments.count();
        if got >= asked {
            return Ok(());
        }
        Err(Error::TooFew { operation: "images to score", expected: asked, got })
    }

    /// Which images, in short.
    pub(crate) fn images(&self) -> Images {
        Images { count: self.moments.count(), n_grey: self.n_grey }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature_space::ImageShape;
    use crate::reference::ReferenceStats;
    use crate::score::ReferenceCount;
    use tch::Kind;

    fn square(side: u32) -> Extractor {
        Extractor::pixels(ImageShape { channels: 1, height: side, width: side }).unwrap()
    }

    fn ramp(n: i64, offset: i64) -> Tensor {
        ((Tensor::arange(n * 4, (Kind::Int64, Device::Cpu)) * 37).remainder(200) + offset)
            .to_kind(Kind::Uint8)
            .view([n, 1, 2, 2])
    }

    #[test]
    fn a_shift_in_pixels_is_its_square() {
        let pixels = square(2);
        let mut reference = ImageMoments::new(&pixels, Device::Cpu).unwrap();
        reference.push(&pixels, &ramp(50, 0)).unwrap();
        let mut shifted = ImageMoments::new(&pixels, Device::Cpu).unwrap();
        for shard in ramp(50, 51).split(20, 0) {
            let mut part = ImageMoments::new(&pixels, Device::Cpu).unwrap();
            part.push(&pixels, &shard).unwrap();
            shifted.merge(&part).unwrap();
        }
        let score = shifted.frechet(&reference).unwrap();
        assert!((score.value() - 4.0 * 0.4 * 0.4).abs() < 1e-12, "{}", score.value());
        assert_eq!(
            (score.metric().name(), score.n_generated(), score.n_reference()),
            ("frechet[pixels]", 50, ReferenceCount::Measured(50))
        );
        let stored = ReferenceStats::of(&reference, "ramp").unwrap();
        assert_eq!(shifted.frechet_against(&stored).unwrap(), score);
        shifted.require(50).unwrap();
        assert!(matches!(shifted.require(51), Err(Error::TooFew { expected: 51, got: 50, .. })));
    }

    #[test]
    fn spaces_do_not_mix() {
        let (small, wide) =
            (square(2), Extractor::pixels(ImageShape { channels: 4, height: 1, width: 1 }).unwrap());
        assert_eq!(small.width(), wide.width());
        let mut a = ImageMoments::new(&small, Device::Cpu).unwrap();
        let b = ImageMoments::new(&wide, Device::Cpu).unwrap();
        for error in [a.push(&wide, &ramp(3, 0)), a.merge(&b), a.frechet(&b).map(|_| ())] {
            let message = error.unwrap_err().to_string();
            assert!(message.contains("pixels 1x2x2, got pixels 4x1x1"), "{message}");
        }
    }
}
