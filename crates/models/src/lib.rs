//! Diffusion networks, what they predict, and the one question asked of all of them: [`Denoiser::denoise`].
//!
//! A network here is a description and a table of parameter names; it owns no tensors. Student, teacher and averages are
//! one [`Model`] over different [`fewstep_torch::Params`]. Exact denoisers of simple distributions stand beside the
//! networks, so that samplers and objectives can be tested on data whose answer is known.
//!
//! Networks compute in the kind of their parameters (f32, or f64 for comparisons); states, levels and answers are f64.
//!
//! ```
//! use fewstep_models::ddpm::DdpmConfig;
//! use fewstep_models::{Architecture, Denoiser, Levels, Model, ModelConfig, Prediction};
//! use fewstep_schedules::Schedule;
//! use fewstep_torch::{Device, Kind, Params, Tensor};
//!
//! let network = DdpmConfig {
//!     resolution: 8,
//!     channels: 8,
//!     channel_mult: vec![1, 2],
//!     n_res_blocks: 1,
//!     attention_resolutions: vec![4],
//!     embedding_channels: 16,
//!     ..DdpmConfig::cifar10()
//! };
//! let network = Architecture::DdpmUnet(network);
//! let model = Model::new(ModelConfig { network, prediction: Prediction::X0 })?;
//! let params = Params::frozen(model.layout().clone(), &model.layout().initial(0)?)?;
//! let x_t = Tensor::f_ones([2, 3, 8, 8], (Kind::Double, Device::Cpu))?;
//! let at = Levels::uniform(Schedule::default().at(0.5), 2);
//! let x0 = model.denoiser(&params).denoise(&x_t, &at, None)?;
//! assert_eq!(x0.size(), [2, 3, 8, 8]);
//! # Ok::<(), fewstep_models::Error>(())
//! ```
//!
//! To sample from a denoiser, see `fewstep-samplers`; to train one, `fewstep-train`.

mod conditions;
mod counted;
pub mod ddpm;
mod denoiser;
pub mod edm;
mod error;
pub mod exact;
mod levels;
mod model;
pub mod nn;
mod prediction;
mod pyramid;

pub use conditions::Conditions;
pub use counted::Counted;
pub use denoiser::Denoiser;
pub use error::{Error, Result};
pub use levels::Levels;
pub use model::{Architecture, Model, ModelConfig, NetworkDenoiser};
pub use prediction::Prediction;
