//! Diffusion networks, what they predict, and the one question asked of all of them: [`Denoiser::denoise`].
//!
//! A [`Network`] is a table of parameter names and a function of parameters; it owns no tensors. Student, teacher and
//! averages are one network over different [`fewstep_torch::Params`]. A [`ModelConfig`] describes the networks that a config
//! can name; a network of yours is a type that implements the trait. Labels, dropout and clipping belong to the denoiser:
//! see [`NetworkDenoiser`] and [`Clipped`]. The [`exact`] denoisers of simple distributions let samplers and objectives be
//! tested on data whose answer is known.
//!
//! Networks compute in the kind of their parameters (f32, or f64 for comparisons); states, levels and answers are f64.
//!
//! ```
//! use fewstep_models::ddpm::DdpmConfig;
//! use fewstep_models::{Architecture, Denoiser, Levels, ModelConfig, Prediction};
//! use fewstep_schedules::Schedule;
//! use fewstep_torch::{Device, Kind, Params, Tensor};
//!
//! let unet = DdpmConfig {
//!     resolution: 8,
//!     channels: 8,
//!     channel_mult: vec![1, 2],
//!     n_res_blocks: 1,
//!     attention_resolutions: vec![4],
//!     embedding_channels: 16,
//!     n_classes: 10,
//!     ..DdpmConfig::cifar10()
//! };
//! let config = ModelConfig { network: Architecture::DdpmUnet(unet), prediction: Prediction::V };
//! let network = config.build()?;
//! let params = Params::frozen(network.layout().clone(), &network.layout().initial(0)?)?;
//!
//! let labels = Tensor::f_from_slice(&[3i64, 7])?;
//! let denoiser = network.denoiser(&params).with_labels(&labels);
//! let x_t = Tensor::f_ones([2, 3, 8, 8], (Kind::Double, Device::Cpu))?;
//! let x0 = denoiser.denoise(&x_t, &Levels::uniform(Schedule::default().at(0.5), 2))?;
//! assert_eq!(x0.size(), [2, 3, 8, 8]);
//! # Ok::<(), fewstep_models::Error>(())
//! ```
//!
//! To sample from a denoiser, see `fewstep-samplers`; to train one, `fewstep-train`.

mod affine;
mod clip;
mod coefficients;
mod conditions;
mod counted;
mod custom;
pub mod ddpm;
mod denoiser;
mod description;
pub mod edm;
mod error;
pub mod exact;
mod levels;
pub mod lucidrains;
mod network;
pub mod nn;
mod prediction;
mod pyramid;
mod registry;
mod residual;
mod timed;
pub mod unet2d;

pub use affine::Affine;
pub use clip::{Clipped, X0Clip};
pub use conditions::{Conditions, check_labels};
pub use counted::Counted;
pub use custom::CustomConfig;
pub use denoiser::Denoiser;
pub use description::{Family, NetworkConfig};
pub use error::{Error, Result};
pub use levels::{Levels, column, columns};
pub use network::{Network, NetworkDenoiser};
pub use prediction::Prediction;
pub use registry::{Architecture, ModelConfig};
pub use timed::{LineTime, TimeInput, TimedNetwork};
