//! The pixels themselves as a feature space, for small data.

use crate::error::{During, Error, Result};
use crate::extractor::{ExtractFeatures, Extractor};
use crate::feature_space::{FeatureSpace, ImageShape};
use crate::rows::shape_of;
use crate::space::{FeatureOptions, Space};
use fewstep_torch::ScalarOps;
use tch::{Kind, Tensor};

/// The space of pixels, as configs and flags name it, for images of any shape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PixelSpace;

impl Space for PixelSpace {
    fn name(&self) -> &str {
        "pixels"
    }

    fn extractor(&self, shape: ImageShape, _: &FeatureOptions) -> Result<Extractor> {
        Extractor::pixels(shape)
    }
}

impl Extractor {
    /// The extractor of pixels, for images of this shape.
    ///
    /// # Errors
    /// When a dimension is zero.
    pub fn pixels(shape: ImageShape) -> Result<Self> {
        Pixels::new(shape).map(Self::built_in)
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
}

impl ExtractFeatures for Pixels {
    fn space(&self) -> FeatureSpace {
        FeatureSpace::Pixels(self.shape)
    }

    /// `[B, C, H, W]` u8 -> `[B, C H W]` f64, in `[-1, 1]`.
    fn features(&self, images: &Tensor) -> Result<Tensor> {
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
