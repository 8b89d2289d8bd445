//! One-step updates on batches of states, and the loops over them.
//!
//! The step that samples is the step that builds distillation targets: [`Step::apply`] and its inverse
//! [`Step::x0_that_lands_on`] are used by both. States are f64 and may stand at a different noise level each; variance
//! preserving and variance exploding processes share one formula (see `fewstep-schedules`). A [`Solver`] of higher order
//! says which `x0` the same step is to be taken with. EDM's Euler sampler is [`ddim`] on a variance exploding grid.

mod clip;
mod error;
mod generate;
mod heun;
mod labels;
mod sample;
mod sampler;
mod solver;
mod step;

pub use clip::X0Clip;
pub use error::{Error, Result};
pub use generate::Generator;
pub use heun::{Churn, ChurnOf, heun};
pub use labels::{Frequencies, LabelRule};
pub use sample::{Sampled, ddim, initial_state};
pub use sampler::Sampler;
pub use solver::Solver;
pub use step::{Step, diffuse};
