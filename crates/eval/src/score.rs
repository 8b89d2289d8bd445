//! From images to a named number: moments that remember their feature space, and the score two of them give.

use crate::error::{Error, Result};
use crate::features::{Extractor, FeatureSpace};
use crate::frechet::frechet_distance;
use crate::metric::{Metric, Statistic};
use crate::moments::Moments;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

/// Moments of a stream of 8-bit images in one feature space.
#[derive(Debug)]
pub struct ImageMoments {
    space: FeatureSpace,
    moments: Moments,
}

impl ImageMoments {
    /// No images yet, in the space of `extractor`; the sums live on `device`.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn new(extractor: &Extractor, device: Device) -> Result<Self> {
        Ok(Self { space: extractor.space(), moments: Moments::new(extractor.width(), device)? })
    }

    /// Adds images.
    ///
    /// # Shapes
    /// `images [B, C, H, W]`, u8.
    ///
    /// # Errors
    /// When the extractor is of another space or does not take these images.
    pub fn push(&mut self, extractor: &Extractor, images: &Tensor) -> Result<()> {
        same_space("ImageMoments::push", &self.space, &extractor.space())?;
        self.moments.push(&extractor.features(images)?)
    }

    /// Adds what another shard has seen.
    ///
    /// # Errors
    /// When it is of another space.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        same_space("ImageMoments::merge", &self.space, &other.space)?;
        self.moments.merge(&other.moments)
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

    /// Frechet distance of these (generated) images from a reference.
    ///
    /// # Errors
    /// When the spaces differ or either side has fewer than two images.
    pub fn frechet(&self, reference: &Self) -> Result<Score> {
        same_space("ImageMoments::frechet", &self.space, &reference.space)?;
        let value = frechet_distance(&self.moments.gaussian()?, &reference.moments.gaussian()?)?;
        Ok(Score {
            metric: Metric::new(Statistic::Frechet, self.space.clone()),
            value,
            n_generated: self.moments.count(),
            n_reference: reference.moments.count(),
        })
    }
}

fn same_space(operation: &'static str, expected: &FeatureSpace, got: &FeatureSpace) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(Error::Space { operation, expected: expected.to_string(), got: got.to_string() })
}

/// A finite number, its metric, and how many images it was taken over. Made by [`ImageMoments::frechet`], or
/// read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    metric: Metric,
    value: f64,
    n_generated: u64,
    n_reference: u64,
}

impl Score {
    /// What was measured.
    #[must_use]
    pub fn metric(&self) -> &Metric {
        &self.metric
    }

    /// The number.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Generated images behind it.
    #[must_use]
    pub fn n_generated(&self) -> u64 {
        self.n_generated
    }

    /// Reference images behind it.
    #[must_use]
    pub fn n_reference(&self) -> u64 {
        self.n_reference
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::ImageShape;
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
            ("frechet[pixels]", 50, 50)
        );
    }

    #[test]
    fn spaces_do_not_mix() {
        let (small, wide) =
            (square(2), Extractor::pixels(ImageShape { channels: 4, height: 1, width: 1 }).unwrap());
        assert_eq!(small.width(), wide.width());
        let mut a = ImageMoments::new(&small, Device::Cpu).unwrap();
        let b = ImageMoments::new(&wide, Device::Cpu).unwrap();
        for error in [a.push(&wide, &ramp(3, 0)), a.merge(&b), a.frechet(&b).map(|_| ())] {
            let told = error.unwrap_err().to_string();
            assert!(told.contains("pixels 1x2x2, got pixels 4x1x1"), "{told}");
        }
    }
}
