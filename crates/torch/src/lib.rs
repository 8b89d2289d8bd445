//! The safe interface to libtorch: every failure is an error, and no state is global.
//!
//! The crate provides tensors, flat parameter buffers with a name table, an Adam whose state can be saved, ordered parallel work
//! and safetensors files. No panic of the tch wrapper, no C++ exception and no global generator reaches the crates above
//! it. It knows nothing about networks or diffusion.
//!
//! Train one parameter to be 3, and average it along the way:
//!
//! ```
//! use std::sync::Arc;
//!
//! use fewstep_torch::{Adam, AdamConfig, Ema, GradientRule, Init, Kind, LayoutBuilder, Params, ScalarOps, Tensor};
//!
//! let mut b = LayoutBuilder::new();
//! let w = b.param("w", &[1], Init::Zeros)?;
//! let layout = Arc::new(b.build());
//! let flat = layout.initial(0)?;
//! let (mut adam, mut ema) = (Adam::new(AdamConfig::default(), &flat)?, Ema::of(&flat)?);
//! for _ in 0..300 {
//!     let p = Params::with_grad(Arc::clone(&layout), &flat)?;
//!     let loss = p[w].sub_number(3.0)?.f_square()?.f_sum(Kind::Float)?;
//!     let mut gradient = Tensor::f_run_backward(&[loss], &[p.flat()], false, false)?.remove(0);
//!     let (_norm, scaling) = GradientRule::ClipNorm { max_norm: 100.0 }.scaling(&gradient)?;
//!     adam.step(&flat, &mut gradient, 0.1, scaling, &mut [(&mut ema, 0.9)])?;
//! }
//! assert!((ema.flat.f_double_value(&[0])? - 3.0).abs() < 0.05);
//! # Ok::<(), fewstep_torch::Error>(())
//! ```

mod adam;
mod compute;
mod device;
mod driver;
mod ema;
mod error;
mod facts;
mod gpu;
mod layout;
mod meter;
mod norm;
mod order;
mod out_of_memory;
mod parallel;
mod params;
mod profile;
mod scalar;
mod shim;
mod store;
mod values;
mod workers;

pub use adam::{Adam, AdamConfig, GradientRule, Scaling};
pub use compute::{Compute, ProductsOf};
pub use device::{DeviceSpec, cuda_devices, cuda_library, prepare, set_deterministic};
pub use driver::{Gpu, NvidiaDriver};
pub use ema::Ema;
pub use error::{Error, Result, escaped};
pub use facts::{Libtorch, library_folder};
pub use gpu::gpu_kernels;
pub use layout::{Init, Layout, LayoutBuilder, ParamId, ParamRole, ParamSpec};
pub use meter::{Curve, metered, most_on_device, release_freed};
pub use norm::GroupNorm;
pub use order::ImageOrder;
pub use out_of_memory::{Bytes, Memory, OutOfMemory};
pub use parallel::in_order;
pub use params::Params;
pub use profile::{Operation, Profile};
pub use scalar::{Number, ScalarOps, counted};
pub use store::{SafetensorsFile, Saved, load, load_card, parse, read, save};
pub use tch::{Device, Kind, Tensor};
pub use values::{digest_of_values, hash_values, raw_bytes};
pub use workers::{Place, StoreHost, Timeouts, Workers, WorkersError};

/// Turns gradient recording off until the guard is dropped, even by a panic (tch's closure leaves it off then).
pub fn no_grad() -> tch::NoGradGuard {
    tch::no_grad_guard()
}
