//! Arithmetic between tensors and numbers that cannot panic.
//!
//! tch passes a number to libtorch in an object whose destructor panics if the operation failed, because the destructor's
//! own call picks up the operation's error. So no code of this project calls a tch function that takes a number;
//! `cargo xtask tidy` reads their names from tch's source and rejects every call. Here a number is a tensor without
//! dimensions. libtorch treats such a tensor as it treats numbers: it changes neither the kind nor the shape of the other
//! operand.

use tch::{Device, Kind, TchError, Tensor};

/// A number as an operand of [`ScalarOps`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A real number; rounded to the tensor's kind if that is floating point.
    Float(f64),
    /// A whole number, exact, for tensors of whole numbers.
    Int(i64),
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

type Result = std::result::Result<Tensor, TchError>;

impl Number {
    /// This number as a tensor without dimensions, on the CPU, to combine with `tensor`.
    fn operand_for(self, tensor: &Tensor) -> Result {
        match self {
            Self::Int(value) => scalar(&[value]),
            Self::Float(value) => match tensor.f_kind()? {
                Kind::Double => scalar(&[value]),
                Kind::Float => scalar(&[value as f32]),
                Kind::Half | Kind::BFloat16 => scalar(&[value as f32])?.f_to_kind(tensor.f_kind()?),
                _ => scalar(&[value]),
            },
        }
    }
}

fn scalar<T: tch::kind::Element>(value: &[T; 1]) -> Result {
    Tensor::f_from_slice(value)?.f_squeeze()
}

/// Operations of a tensor with one number. Those that end in `_` change the tensor in place and return it.
#[allow(missing_docs)] // the names say it
pub trait ScalarOps {
    fn add_number(&self, number: impl Into<Number>) -> Result;
    fn sub_number(&self, number: impl Into<Number>) -> Result;
    fn mul_number(&self, number: impl Into<Number>) -> Result;
    fn div_number(&self, number: impl Into<Number>) -> Result;
    fn add_number_(&mut self, number: impl Into<Number>) -> Result;
    fn mul_number_(&mut self, number: impl Into<Number>) -> Result;
    fn clamp_number(&self, least: f64, most: f64) -> Result;
    fn clamp_least(&self, least: f64) -> Result;
    fn below_number(&self, number: impl Into<Number>) -> Result;
    fn above_number(&self, number: impl Into<Number>) -> Result;
    fn at_least_number(&self, number: impl Into<Number>) -> Result;
    fn and_bits(&self, bits: i64) -> Result;
    /// Arithmetic shift: the sign bit fills in from the left.
    fn shift_right(&self, places: i64) -> Result;
    /// `self + rate (to - self)`, in place.
    fn lerp_number_(&mut self, to: &Tensor, rate: f64) -> Result;
    /// Sets every element, in place.
    fn fill_number_(&mut self, number: impl Into<Number>) -> Result;
}

impl ScalarOps for Tensor {
    fn add_number(&self, number: impl Into<Number>) -> Result {
        self.f_add(&number.into().operand_for(self)?)
    }

    fn sub_number(&self, number: impl Into<Number>) -> Result {
        self.f_sub(&number.into().operand_for(self)?)
    }

    fn mul_number(&self, number: impl Into<Number>) -> Result {
        self.f_mul(&number.into().operand_for(self)?)
    }

    fn div_number(&self, number: impl Into<Number>) -> Result {
        self.f_div(&number.into().operand_for(self)?)
    }

    fn add_number_(&mut self, number: impl Into<Number>) -> Result {
        let number = number.into().operand_for(self)?;
        self.f_add_(&number)
    }

    fn mul_number_(&mut self, number: impl Into<Number>) -> Result {
        let number = number.into().operand_for(self)?;
        self.f_mul_(&number)
    }

    fn clamp_number(&self, least: f64, most: f64) -> Result {
        let (least, most) = (Number::Float(least).operand_for(self)?, Number::Float(most).operand_for(self)?);
        self.f_clamp_tensor(Some(least), Some(most))
    }

    fn clamp_least(&self, least: f64) -> Result {
        self.f_clamp_min_tensor(&Number::Float(least).operand_for(self)?)
    }

    fn below_number(&self, number: impl Into<Number>) -> Result {
        self.f_lt_tensor(&number.into().operand_for(self)?)
    }

    fn above_number(&self, number: impl Into<Number>) -> Result {
        self.f_gt_tensor(&number.into().operand_for(self)?)
    }

    fn at_least_number(&self, number: impl Into<Number>) -> Result {
        self.f_ge_tensor(&number.into().operand_for(self)?)
    }

    fn and_bits(&self, bits: i64) -> Result {
        self.f_bitwise_and_tensor(&Number::Int(bits).operand_for(self)?)
    }

    fn shift_right(&self, places: i64) -> Result {
        self.f_bitwise_right_shift(&Number::Int(places).operand_for(self)?)
    }

    fn lerp_number_(&mut self, to: &Tensor, rate: f64) -> Result {
        let rate = Number::Float(rate).operand_for(self)?.f_to_device(self.device())?;
        self.f_lerp_tensor_(to, &rate)
    }

    fn fill_number_(&mut self, number: impl Into<Number>) -> Result {
        let number = number.into().operand_for(self)?;
        self.f_copy_(&number)?;
        Ok(self.shallow_clone())
    }
}

/// The whole numbers `0..n`, i64 `[n]`.
///
/// # Errors
/// libtorch cannot allocate.
pub fn counted(n: i64, device: Device) -> Result {
    Tensor::f_ones([n], (Kind::Int64, device))?.f_cumsum(0, Kind::Int64)?.sub_number(1i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(kind: Kind) -> Tensor {
        Tensor::from_slice(&[-2.5, 0.1, 3.0]).to_kind(kind)
    }

    #[test]
    fn a_number_gives_what_libtorchs_own_numbers_give() {
        for kind in [Kind::Float, Kind::Double, Kind::BFloat16] {
            let x = tensor(kind);
            let pairs = [
                (x.add_number(0.7).unwrap(), &x + 0.7),
                (x.sub_number(0.7).unwrap(), &x - 0.7),
                (x.mul_number(0.7).unwrap(), &x * 0.7),
                (x.div_number(0.7).unwrap(), &x / 0.7),
                (x.clamp_number(-1.0, 1.0).unwrap(), x.clamp(-1.0, 1.0)),
                (x.clamp_least(0.0).unwrap(), x.clamp_min(0.0)),
                (x.copy().add_number_(0.7).unwrap(), &x + 0.7),
                (x.copy().mul_number_(0.7).unwrap(), &x * 0.7),
                (x.copy().fill_number_(0.7).unwrap(), x.full_like(0.7)),
                (x.below_number(0.1).unwrap(), x.lt(0.1)),
                (x.above_number(0.1).unwrap(), x.gt(0.1)),
                (x.at_least_number(3.0).unwrap(), x.ge(3.0)),
            ];
            for (i, (ours, theirs)) in pairs.into_iter().enumerate() {
                assert_eq!(ours.kind(), theirs.kind(), "{kind:?}, pair {i}");
                // Here a bf16 number is rounded before the operation; libtorch rounds once, at the end.
                let near =
                    ours.to_kind(Kind::Double).allclose(&theirs.to_kind(Kind::Double), 1e-2, 0.0, false);
                assert!(if kind == Kind::BFloat16 { near } else { ours == theirs }, "{kind:?}, pair {i}");
            }
        }
        let to = Tensor::from_slice(&[1f32, 2.0, 3.0]);
        let ours = tensor(Kind::Float).lerp_number_(&to, 0.3).unwrap();
        assert_eq!(ours, tensor(Kind::Float).lerp(&to, 0.3));
    }

    #[test]
    fn whole_numbers_are_exact() {
        let big = i64::MAX - 3;
        let x = Tensor::from_slice(&[big, -8]);
        assert_eq!(Vec::<i64>::try_from(x.sub_number(1i64).unwrap()).unwrap(), [big - 1, -9]);
        assert_eq!(Vec::<i64>::try_from(x.shift_right(2).unwrap()).unwrap(), [big >> 2, -2]);
        assert_eq!(Vec::<i64>::try_from(x.and_bits(12).unwrap()).unwrap(), [big & 12, 8]);
        assert_eq!(Vec::<i64>::try_from(counted(4, Device::Cpu).unwrap()).unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_failing_operation_is_an_error_and_not_a_panic() {
        // A shape that cannot be broadcast fails inside libtorch, as running out of memory would.
        let mut x = Tensor::zeros([2], (Kind::Float, Device::Cpu));
        assert!(x.lerp_number_(&Tensor::zeros([3], (Kind::Float, Device::Cpu)), 0.5).is_err());
        let bits = Tensor::from_slice(&[1.5f32]);
        assert!(bits.and_bits(1).is_err());
        assert!(bits.shift_right(1).is_err());
        // The control: tch's own function panics on the same input.
        let theirs = std::panic::catch_unwind(|| Tensor::from_slice(&[1.5f32]).f_bitwise_and(1i64).is_err());
        assert!(theirs.is_err(), "tch has mended this: ScalarOps is no longer needed");
    }
}
