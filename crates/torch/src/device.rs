//! Devices by name, and libtorch's initialisation, which must load CUDA before anything else.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tch::Device;

use crate::error::{Error, Result};
use crate::shim;
use crate::workers::Place;

/// The device a user asks for: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceSpec {
    /// The first CUDA device if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA device by number.
    Cuda(usize),
}

impl FromStr for DeviceSpec {
    type Err = String;

    fn from_str(s: &str) -> std::result::Result<Self, String> {
        match s {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => s
                .strip_prefix("cuda:")
                .and_then(|n| n.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("`{s}` is not a device: expected auto, cpu, cuda or cuda:N")),
        }
    }
}

impl TryFrom<String> for DeviceSpec {
    type Error = String;

    fn try_from(s: String) -> std::result::Result<Self, String> {
        s.parse()
    }
}

impl From<DeviceSpec> for String {
    fn from(d: DeviceSpec) -> Self {
        d.to_string()
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

impl schemars::JsonSchema for DeviceSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeviceSpec".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "`auto`, `cpu`, `cuda` or `cuda:N` with the number of the device.",
            "type": "string",
            "pattern": "^(auto|cpu|cuda(:[0-9]+)?)$",
        })
    }
}

static CUDA: OnceLock<std::result::Result<(), String>> = OnceLock::new();

/// Prepares libtorch for this process; call it first in `main`.
///
/// Loads libtorch's CUDA library if it is there (one binary serves both), sets one intra-op thread on the CPU
/// (parallelism comes from micro-batches, which is faster for small networks and does not collapse on a shared machine),
/// and chooses deterministic kernels without TF32, so that a run repeats to the bit on one machine.
///
/// # Errors
/// libtorch rejects the settings.
pub fn prepare() -> Result<()> {
    CUDA.get_or_init(shim::load_cuda);
    tch::set_num_threads(1);
    shim::set_reproducible(true, false)
}

/// Whether GPUs repeat a run to the bit, as [`prepare`] has it, or may choose the fastest kernels by trying them, which need
/// not be the same ones the next time, nor add up in one order. What runs on a CPU repeats in any case.
///
/// # Errors
/// libtorch rejects the settings.
pub fn set_deterministic(deterministic: bool) -> Result<()> {
    shim::set_reproducible(deterministic, false)
}

/// Whether libtorch's CUDA half is in this process.
///
/// # Errors
/// The loader's message.
pub fn cuda_library() -> std::result::Result<(), String> {
    CUDA.get_or_init(shim::load_cuda).clone()
}

/// CUDA devices that libtorch can use.
pub fn cuda_devices() -> usize {
    if cuda_library().is_ok() { tch::Cuda::device_count().max(0) as usize } else { 0 }
}

impl DeviceSpec {
    /// The libtorch device.
    ///
    /// # Errors
    /// The CUDA device is not available; the error says why.
    pub fn resolve(&self) -> Result<Device> {
        let count = cuda_devices();
        match *self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Auto => Ok(if count > 0 { Device::Cuda(0) } else { Device::Cpu }),
            Self::Cuda(n) if n < count => Ok(Device::Cuda(n)),
            Self::Cuda(_) => {
                let reason = match cuda_library() {
                    Ok(()) => format!("libtorch sees {count} CUDA device(s); `fewstep doctor` says more"),
                    Err(e) => format!("no CUDA libtorch could be loaded ({e}); `fewstep doctor` says more"),
                };
                Err(Error::Device { asked: self.to_string(), reason })
            }
        }
    }
}

impl DeviceSpec {
    /// The libtorch device of one of several workers: on GPUs, the one of its number on its machine.
    ///
    /// # Errors
    /// As [`DeviceSpec::resolve`]; a machine with more workers than GPUs; one GPU by its number for several workers.
    pub fn of_worker(&self, place: &Place) -> Result<Device> {
        if place.local_size == 1 {
            return self.resolve();
        }
        let refused = |reason| Err(Error::Device { asked: self.to_string(), reason });
        let local = place.local_size;
        if let Self::Cuda(n @ 1..) = *self {
            return refused(format!(
                "it is GPU {n} alone, for {local} workers on this machine: ask for `cuda`"
            ));
        }
        let Device::Cuda(_) = self.resolve()? else { return Ok(Device::Cpu) };
        let gpus = tch::Cuda::device_count().max(0) as usize;
        match gpu_of(place.local_rank, local, gpus, place.own_gpus) {
            Some(gpu) => Ok(Device::Cuda(gpu)),
            None => refused(format!(
                "this machine has {gpus} GPU(s) for {local} workers: start one worker per GPU, or take `cpu`"
            )),
        }
    }
}

/// The GPU of a worker, where there is one for each; `own` says that each sees its own only.
fn gpu_of(local_rank: usize, local_size: usize, gpus: usize, own: bool) -> Option<usize> {
    match own {
        true if gpus > 0 => Some(0),
        _ if local_size <= gpus => Some(local_rank),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_has_a_gpu_of_its_own() {
        assert_eq!([0, 1].map(|rank| gpu_of(rank, 2, 4, false)), [Some(0), Some(1)]);
        assert_eq!([0, 1].map(|rank| gpu_of(rank, 2, 1, false)), [None, None]);
        assert_eq!([0, 1].map(|rank| gpu_of(rank, 2, 1, true)), [Some(0), Some(0)]);
        let place = Place { size: 2, local_size: 2, ..Place::alone() };
        assert!(matches!(DeviceSpec::Cpu.of_worker(&place), Ok(Device::Cpu)));
        let refused = DeviceSpec::Cuda(1).of_worker(&place).unwrap_err().to_string();
        assert!(refused.contains("GPU 1 alone, for 2 workers"), "{refused}");
    }

    #[test]
    fn names_round_trip_and_wrong_ones_are_refused() {
        for s in ["auto", "cpu", "cuda:3"] {
            assert_eq!(s.parse::<DeviceSpec>().unwrap().to_string(), s);
        }
        assert!("gpu".parse::<DeviceSpec>().unwrap_err().contains("gpu"));
        assert!("cuda:x".parse::<DeviceSpec>().is_err());
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error_not_a_panic() {
        let refused = DeviceSpec::Cuda(9999).resolve().unwrap_err().to_string();
        // Where the CUDA half does not load, the loader says which library is missing.
        assert!(refused.contains("libtorch sees") || refused.contains(".so"), "{refused}");
        assert!(matches!(DeviceSpec::Cpu.resolve(), Ok(Device::Cpu)));
    }
}
