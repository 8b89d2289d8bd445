//! Rounds images in `[-1, 1]` to 8 bits before features are computed, as saving them in image files would.

use crate::error::{During, Error, Result};
use crate::rows::{all_finite, shape_of};
use fewstep_torch::ScalarOps;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// How a value between two 8-bit levels is rounded. The two rules differ only at ties, up to rounding errors, but a
/// score records the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Quantisation {
    /// `round(127.5 (x + 1))`, ties to the even level, then clamped: TRACT's release and `torch.round`.
    HalfToEven,
    /// `127.5 x + 128`, clamped, then truncated: ties go up. EDM's `generate.py`.
    HalfUp,
}

impl Quantisation {
    /// Quantises images. Values outside `[-1, 1]` are clamped. Computes in f64 for every input kind, so an image's bytes
    /// do not depend on the sampler's precision (the references compute in f32 or f64).
    ///
    /// # Shapes
    ///
    /// `images [B, C, H, W]`, floating point, nominal range `[-1, 1]` -> `[B, C, H, W]` u8 on the same device.
    ///
    /// # Errors
    /// When the shape or kind is wrong, or a value is NaN or infinite (the error's row is the image).
    pub fn apply(self, images: &Tensor) -> Result<Tensor> {
        const OPERATION: &str = "Quantisation::apply";
        let shape = shape_of(OPERATION, images)?;
        if shape.len() != 4 || !images.f_is_floating_point().during(OPERATION)? {
            let got = format!("{:?} of shape {shape:?}", images.f_kind());
            let expected = "floating point images [B, C, H, W]".to_owned();
            return Err(Error::Input { operation: OPERATION, expected, got });
        }
        let images = images.f_detach().and_then(|t| t.f_to_kind(Kind::Double)).during(OPERATION)?;
        all_finite(OPERATION, &images.f_flatten(1, -1).during(OPERATION)?, 0)?;
        let levels = match self {
            Self::HalfToEven => {
                images.add_number(1.0).and_then(|t| t.mul_number(127.5)).and_then(|t| t.f_round())
            }
            Self::HalfUp => images.mul_number(127.5).and_then(|t| t.add_number(128.0)),
        };
        levels
            .and_then(|t| t.clamp_number(0.0, 255.0))
            .and_then(|t| t.f_to_kind(Kind::Uint8))
            .during(OPERATION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Quantisation; 2] = [Quantisation::HalfToEven, Quantisation::HalfUp];

    fn levels(how: Quantisation, values: &[f64]) -> Vec<u8> {
        let images = Tensor::from_slice(values).view([1, 1, 1, values.len() as i64]);
        Vec::<u8>::try_from(how.apply(&images).unwrap().view([-1])).unwrap()
    }

    #[test]
    fn every_level_comes_back_from_unit_range() {
        let values: Vec<f64> = (0..256).map(|k| f64::from(k) / 127.5 - 1.0).collect();
        let want: Vec<u8> = (0..=255).collect();
        for how in BOTH {
            assert_eq!(levels(how, &values), want);
        }
    }

    #[test]
    fn outside_is_clamped_and_the_nearest_level_taken() {
        for how in BOTH {
            assert_eq!(levels(how, &[-1.0, -7.0, 1.0, 7.0]), [0, 0, 255, 255]);
            assert_eq!(levels(how, &[126.6 / 127.5 - 1.0, 126.4 / 127.5 - 1.0]), [127, 126]);
            assert_eq!(levels(how, &[0.0]), [128]); // 127.5: up, and to the even level
        }
    }

    #[test]
    fn ties_above_an_even_level_differ() {
        let tie = |k: u8| (2.0 * f64::from(k) + 1.0) / 255.0 - 1.0;
        let exact = |k: &u8| {
            let (x, k) = (tie(*k), f64::from(*k));
            127.5 * (x + 1.0) == k + 0.5 && 127.5 * x + 128.0 == k + 1.0
        };
        let ties: Vec<u8> = (0..254).step_by(2).filter(exact).collect();
        assert!(ties.len() > 10, "{ties:?}");
        let values: Vec<f64> = ties.iter().map(|k| tie(*k)).collect();
        assert_eq!(levels(Quantisation::HalfToEven, &values), ties);
        assert_eq!(levels(Quantisation::HalfUp, &values), ties.iter().map(|k| k + 1).collect::<Vec<u8>>());
    }

    #[test]
    fn f32_and_f64_give_the_same_bytes() {
        let images = Tensor::linspace(-1.1, 1.1, 1000, (Kind::Float, tch::Device::Cpu)).view([10, 1, 10, 10]);
        for how in BOTH {
            let (single, double) =
                (how.apply(&images).unwrap(), how.apply(&images.to_kind(Kind::Double)).unwrap());
            assert_eq!(single.kind(), Kind::Uint8);
            assert!(single == double);
        }
    }

    #[test]
    fn a_nan_is_an_error_that_names_its_image() {
        let images = Tensor::zeros([3, 1, 2, 2], (Kind::Float, tch::Device::Cpu));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let broken = images.copy();
            let _ = broken.get(2).get(0).get(0).get(1).fill_(bad);
            let error = Quantisation::HalfUp.apply(&broken).unwrap_err();
            assert!(matches!(error, Error::NonFinite { row: 2, column: 1, count: 1, .. }), "{error}");
        }
        assert!(Quantisation::HalfUp.apply(&images).is_ok());
        assert!(Quantisation::HalfUp.apply(&images.to_kind(Kind::Uint8)).is_err());
        assert!(Quantisation::HalfUp.apply(&images.get(0)).is_err());
    }
}
