//! Feature spaces, in which images are compared. [`FeatureSpace`] describes a space and is stored in records; an
//! [`Extractor`] maps images to feature rows in its space.
//!
//! Both are closed enums on purpose: only an extractor determines a space, so a distance in pixels cannot be
//! reported under the name of a distance in Inception's pool3.

use crate::error::{During, Error, Result};
use crate::inception::{Inception, PoolThree};
use crate::rows::shape_of;
use fewstep_torch::ScalarOps;
use serde::{Deserialize, Serialize};
use std::fmt;
use tch::{Kind, Tensor};

/// Channels, height and width of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageShape {
    /// Channels.
    pub channels: u32,
    /// Height.
    pub height: u32,
    /// Width.
    pub width: u32,
}

/// The space of a feature row, with everything that distinguishes it from other spaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FeatureSpace {
    /// The 8-bit pixels themselves, mapped to `[-1, 1]`.
    Pixels(ImageShape),
    /// The mean over the pixels of an Inception network's last block.
    #[serde(rename = "inception_pool3")]
    PoolThree(PoolThree),
}

impl FeatureSpace {
    /// Features per row.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Pixels(s) => s.channels as usize * s.height as usize * s.width as usize,
            Self::PoolThree(_) => PoolThree::WIDTH,
        }
    }
}

impl fmt::Display for FeatureSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixels(s) => write!(f, "pixels {}x{}x{}", s.channels, s.height, s.width),
            Self::PoolThree(space) => space.fmt(f),
        }
    }
}

/// Maps 8-bit images to feature rows.
#[derive(Debug)]
#[non_exhaustive]
pub enum Extractor {
    /// See [`Pixels`].
    Pixels(Pixels),
    /// See [`Inception`].
    Inception(Inception),
}

impl From<Inception> for Extractor {
    fn from(network: Inception) -> Self {
        Self::Inception(network)
    }
}

impl Extractor {
    /// The extractor of pixels, for images of this shape.
    ///
    /// # Errors
    /// When a dimension is zero.
    pub fn pixels(shape: ImageShape) -> Result<Self> {
        Pixels::new(shape).map(Self::Pixels)
    }

    /// The space of this extractor's rows.
    #[must_use]
    pub fn space(&self) -> FeatureSpace {
        match self {
            Self::Pixels(pixels) => FeatureSpace::Pixels(pixels.shape),
            Self::Inception(network) => FeatureSpace::PoolThree(network.space().clone()),
        }
    }

    /// Features per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.space().width()
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
    /// When the images are not u8 or have a shape that the extractor does not accept.
    pub fn features(&self, images: &Tensor) -> Result<Tensor> {
        match self {
            Self::Pixels(pixels) => pixels.features(images),
            Self::Inception(network) => network.features(images),
        }
    }

    /// How many of these images are grey, so that [`Extractor::features`] replicates their channel.
    #[must_use]
    pub fn n_grey(&self, images: &Tensor) -> u64 {
        match self {
            Self::Inception(network) if network.replicates(images) => images.size()[0] as u64,
            _ => 0,
        }
    }
}

/// Pixels as features, `x / 127.5 - 1`, flattened. Their Frechet distance is cheap and exact, but comparable only
/// with other distances in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pixels {
    shape: ImageShape,
}

impl Pixels {
    fn new(shape: ImageShape) -> Result<Self> {
        if shape.channels == 0 || shape.height == 0 || shape.width == 0 {
            let (expected, got) = ("dimensions above 0".to_owned(), format!("{shape:?}"));
            return Err(Error::Input { operation: "Pixels", expected, got });
        }
        Ok(Self { shape })
    }

    /// `[B, C, H, W]` u8 -> `[B, C H W]` f64, in `[-1, 1]`.
    fn features(self, images: &Tensor) -> Result<Tensor> {
        const OPERATION: &str = "pixel features";
        let got = shape_of(OPERATION, images)?;
        let ImageShape { channels, height, width } = self.shape;
        let kind = images.f_kind().during(OPERATION)?;
        if got.len() != 4 || got[1..] != [channels, height, width].map(i64::from) || kind != Kind::Uint8 {
            let expected = format!("u8 images [B, {channels}, {height}, {width}]");
            return Err(Error::Input {
                operation: OPERATION,
                expected,
                got: format!("{kind:?} of shape {got:?}"),
            });
        }
        let flat = images.f_flatten(1, -1).and_then(|t| t.f_to_kind(Kind::Double));
        flat.and_then(|t| t.div_number(127.5)).and_then(|t| t.sub_number(1.0)).during(OPERATION)
    }
}

pub(crate) fn same_space(operation: &'static str, expected: &FeatureSpace, got: &FeatureSpace) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(Error::Space { operation, expected: expected.to_string(), got: got.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_scaled_and_flattened() {
        let extractor = Extractor::pixels(ImageShape { channels: 2, height: 1, width: 2 }).unwrap();
        let images = Tensor::from_slice(&[0u8, 255, 51, 204, 1, 2, 3, 4]).view([2, 2, 1, 2]);
        let rows = extractor.features(&images).unwrap();
        assert_eq!(rows.size(), [2, extractor.width() as i64]);
        let first = Vec::<f64>::try_from(rows.get(0)).unwrap();
        for (got, want) in first.iter().zip([-1.0, 1.0, -0.6, 0.6]) {
            assert!((got - want).abs() < 1e-15, "{got} {want}");
        }
    }

    #[test]
    fn other_shapes_and_kinds_are_refused() {
        let shape = ImageShape { channels: 1, height: 2, width: 3 };
        let extractor = Extractor::pixels(shape).unwrap();
        let on = (Kind::Uint8, tch::Device::Cpu);
        assert!(extractor.features(&Tensor::zeros([5, 1, 2, 3], on)).is_ok());
        for bad in [[5, 1, 3, 2], [5, 3, 2, 3]] {
            assert!(extractor.features(&Tensor::zeros(bad, on)).is_err());
        }
        assert!(extractor.features(&Tensor::zeros([1, 2, 3], on)).is_err());
        assert!(extractor.features(&Tensor::zeros([5, 1, 2, 3], (Kind::Float, tch::Device::Cpu))).is_err());
        assert!(extractor.features(&Tensor::new()).is_err());
        assert!(Extractor::pixels(ImageShape { width: 0, ..shape }).is_err());
    }
}
