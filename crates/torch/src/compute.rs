//! The floating-point kind that a network computes in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use crate::error::{Error, Result};

/// The kind of a network's arithmetic and of all buffers of its size: parameters, gradient, Adam's moments, averages.
///
/// States, schedules, targets and losses are always f64. `F64` is for comparisons: two machines agree to 1e-12 in f64
/// where they differ by 1e-5 in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compute {
    /// 32 bits.
    #[default]
    F32,
    /// 64 bits.
    F64,
}

impl Compute {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::F32, Self::F64];

    /// The name in configs, flags and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// The kind of the network's tensors.
    pub fn kind(self) -> Kind {
        match self {
            Self::F32 => Kind::Float,
            Self::F64 => Kind::Double,
        }
    }

    /// Whether this is `F32`, the default that files and configs leave out.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// Bytes per number.
    pub fn bytes(self) -> usize {
        self.kind().elt_size_in_bytes()
    }

    /// The choice whose buffers have this kind.
    ///
    /// # Errors
    /// A kind that no network computes in.
    pub fn of(kind: Kind) -> Result<Self> {
        Self::ALL.into_iter().find(|compute| compute.kind() == kind).ok_or_else(|| Error::Kind {
            what: "parameters",
            expected: names(&Self::ALL),
            got: kind,
        })
    }

    /// The choices that work on a device.
    pub fn supported(device: Device) -> &'static [Self] {
        match device {
            Device::Cpu | Device::Cuda(_) => &Self::ALL,
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
            assert_eq!(Compute::of(compute.kind()).unwrap(), compute);
        }
        assert!("bf16".parse::<Compute>().unwrap_err().contains("f32 or f64"));
        assert!(Compute::of(Kind::Int64).is_err());
    }

    #[test]
    fn a_device_without_the_kind_names_those_it_has() {
        let refused = Compute::F64.check(Device::Mps).unwrap_err().to_string();
        assert!(refused.contains("f64") && refused.contains("works there: f32"), "{refused}");
        assert!(Compute::F64.check(Device::Cpu).is_ok() && Compute::F32.check(Device::Mps).is_ok());
    }
}
