//! One-step updates on batches of states, and the loops over them.
//!
//! The step that samples is the step that builds distillation targets: [`Step::apply`] and its inverse
//! [`Step::x0_that_lands_on`] are used by both. States are f64 and may stand at a different noise level each; variance
//! preserving and variance exploding processes share one formula (see `fewstep-schedules`). A [`Solver`] of higher order
//! says which `x0` the same step is to be taken with. EDM's Euler sampler is [`ddim`] on a variance exploding grid.
//!
//! A [`ModelFile`] keeps a finished model with the card that says how it is sampled; a [`Model`] makes images by seed.
//!
//! ```
//! use fewstep_models::exact::Gaussian;
//! use fewstep_samplers::{ddim, initial_state};
//! use fewstep_schedules::Schedule;
//! use fewstep_torch::{Device, Kind, Tensor};
//!
//! // Data whose denoiser is known: every pixel is N(0.5, 0.1^2).
//! let denoiser = Gaussian { mean: Tensor::f_from_slice(&[0.5])?.f_view([1, 1, 1, 1])?, std: 0.1 };
//! let grid = Schedule::default().grid(64)?;
//! let z = Tensor::f_zeros([2, 1, 4, 4], (Kind::Double, Device::Cpu))?;
//! let x_t = initial_state(&z, &grid)?;
//! let sampled = ddim(&denoiser, &grid, &x_t, &mut |_, _| {})?;
//! assert_eq!((sampled.x0.size(), sampled.nfe), (vec![2, 1, 4, 4], 64));
//! // No noise leads to the mean.
//! let off = sampled.x0.f_sub(&denoiser.mean)?.f_abs()?.f_max()?.f_double_value(&[])?;
//! assert!(off < 1e-3);
//! # Ok::<(), fewstep_samplers::Error>(())
//! ```

mod error;
mod heun;
mod labels;
mod model;
mod model_file;
mod sample;
mod sampler;
mod solver;
mod step;

pub use error::{Error, Result};
pub use heun::{Churn, ChurnOf, heun};
pub use labels::{Frequencies, LabelRule};
pub use model::{Model, Start};
pub use model_file::{ImportedFrom, ModelCard, ModelFile, Role};
pub use sample::{Sampled, ddim, ddim_keeping_noise, initial_state};
pub use sampler::Sampler;
pub use solver::Solver;
pub use step::{Step, diffuse};
