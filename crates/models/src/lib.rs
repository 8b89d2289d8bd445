//! Diffusion networks, what they predict, and the one question asked of all of them: [`Denoiser::denoise`].
//!
//! A network here is a description and a table of parameter names; it owns no tensors. Student, teacher and averages are
//! one [`Model`] over different [`fewstep_torch::Params`]. Exact denoisers of simple distributions stand beside the
//! networks, so that samplers and objectives can be tested on data whose answer is known.
//!
//! Networks compute in the kind of their parameters (f32, or f64 for comparisons); states, levels and answers are f64.

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
