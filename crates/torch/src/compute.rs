//! The floating-point kind that a network computes in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use crate::error::{Error, Result};
use crate::shim;

/// What a network computes in. Its buffers (parameters, gradient, Adam's moments, averages) are f32, or f64 for `F64`.
///
/// States, schedules, targets and losses are f64 in each. Norms and the sums of softmax are of the buffers' kind in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compute {
    /// 32 bits.
    #[default]
    F32,
    /// 64 bits, for comparisons: two machines agree to 1e-12 in f64 where they differ by 1e-5 in f32.
    F64,
    /// 32 bits, whose products round what they multiply to 10 bits of mantissa, on GPUs that have it.
    Tf32,
    /// Activations and the matrices that they are multiplied by have 16 bits (bfloat16); buffers have 32. Twice as fast where
    /// the processor has instructions for it, and refused where it has none.
    Bf16,
}

impl Compute {
    /// Every choice.
    pub const ALL: [Self; 4] = [Self::F32, Self::F64, Self::Tf32, Self::Bf16];

    /// The name in configs, flags and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }

    /// The kind of the buffers.
    pub fn kind(self) -> Kind {
        match self {
            Self::F64 => Kind::Double,
            Self::F32 | Self::Tf32 | Self::Bf16 => Kind::Float,
        }
    }

    /// The kind of activations, and of the matrices that they are multiplied by.
    pub fn arithmetic(self) -> Kind {
        match self {
            Self::Bf16 => Kind::BFloat16,
            _ => self.kind(),
        }
    }

    /// Whether this is `F32`, the default that files and configs leave out.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// Bytes per number in the buffers.
    pub fn bytes(self) -> usize {
        self.kind().elt_size_in_bytes()
    }

    /// What computes in the kind of these buffers.
    ///
    /// # Errors
    /// A kind that no network has.
    pub fn of(kind: Kind) -> Result<Self> {
        [Self::F32, Self::F64].into_iter().find(|compute| compute.kind() == kind).ok_or_else(|| Error::Kind {
            what: "parameters",
            expected: names(&[Self::F32, Self::F64]),
            got: kind,
        })
    }

    /// The choices that work on a device, and are not slower there than `F32` by a factor of ten: without instructions for
    /// bfloat16, libtorch falls back to loops for reference.
    pub fn supported(device: Device) -> &'static [Self] {
        match device {
            Device::Cuda(_) => &Self::ALL,
            Device::Cpu if shim::has_bf16() => &[Self::F32, Self::F64, Self::Bf16],
            Device::Cpu => &[Self::F32, Self::F64],
            // Neither has 64-bit floating point.
            Device::Mps | Device::Vulkan => &[Self::F32],
        }
    }

    /// Checks that this choice works on a device.
    ///
    /// # Errors
    /// It does not; the error names the choices that do.
    pub fn check(self, device: Device) -> Result<()> {
        let supported = Self::supported(device);
        if supported.contains(&self) {
            return Ok(());
        }
        Err(Error::Compute { asked: self.name(), device, supported: names(supported) })
    }
}

/// Lets products on GPUs round to TF32 until it is dropped, if that is what is computed in. Elsewhere, and for everything
/// else, it does nothing.
#[derive(Debug)]
pub struct ProductsOf(bool);

impl ProductsOf {
    /// From here on.
    ///
    /// # Errors
    /// Never in practice.
    pub fn in_kind(compute: Compute, device: Device) -> Result<Self> {
        let tf32 = compute == Compute::Tf32 && device != Device::Cpu;
        if tf32 {
            shim::allow_tf32(true)?;
        }
        Ok(Self(tf32))
    }
}

impl Drop for ProductsOf {
    fn drop(&mut self) {
        if self.0 {
            // A switch that could be set can be set back.
            let _ = shim::allow_tf32(false);
        }
    }
}

fn names(of: &[Compute]) -> String {
    of.iter().map(|compute| compute.name()).collect::<Vec<_>>().join(" or ")
}

impl fmt::Display for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compute {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let found = Self::ALL.into_iter().find(|compute| compute.name() == name);
        found.ok_or_else(|| format!("`{name}` is no kind to compute in: expected {}", names(&Self::ALL)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_known_by_name_and_by_tensor() {
        for compute in Compute::ALL {
            assert_eq!(compute.name().parse(), Ok(compute));
            assert_eq!(Compute::of(compute.kind()).unwrap().kind(), compute.kind());
        }
        assert!("f16".parse::<Compute>().unwrap_err().contains("f32 or f64 or tf32 or bf16"));
        assert!(Compute::of(Kind::Int64).is_err());
    }

    #[test]
    fn a_device_without_the_kind_names_those_it_has() {
        let refused = Compute::F64.check(Device::Mps).unwrap_err().to_string();
        assert!(refused.contains("f64") && refused.contains("works there: f32"), "{refused}");
        assert!(Compute::F64.check(Device::Cpu).is_ok() && Compute::F32.check(Device::Mps).is_ok());
        let refused = Compute::Tf32.check(Device::Cpu).unwrap_err().to_string();
        assert!(refused.contains("tf32") && refused.contains("f32 or f64"), "{refused}");
    }
}
