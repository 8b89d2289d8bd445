//! The one place that touches libtorch's sharp edges.
//!
//! Everything above this crate sees tensors, flat parameter buffers with a name table, an Adam whose state is ours, keyed
//! noise, and safetensors files; no panic of the wrapper, no C++ exception and no global generator reaches it. It knows
//! nothing about networks or diffusion.

mod adam;
mod compute;
mod device;
mod ema;
mod error;
pub mod keyed;
mod layout;
mod params;
mod scalar;
mod shim;
mod store;

pub use adam::{Adam, AdamConfig, GradientRule};
pub use compute::Compute;
pub use device::{DeviceSpec, prepare};
pub use ema::Ema;
pub use error::{Error, Result};
pub use keyed::{Key, Stream};
pub use layout::{Init, Layout, LayoutBuilder, ParamId, ParamSpec, Role};
pub use params::Params;
pub use scalar::{Number, ScalarOps, counted};
pub use store::{Stored, load, load_card, new_file, parse, raw_bytes, save, to_bytes};
pub use tch::{Device, Kind, Tensor};

/// Turns gradient recording off until the guard is dropped; unlike a closure it survives a panic.
pub fn no_grad() -> tch::NoGradGuard {
    tch::no_grad_guard()
}
