//! Noise schedules, time grids, phase plans, step coefficients and their inverses, loss weightings and EMA decays for
//! diffusion models and their distillation.
//!
//! Pure `f64` arithmetic on the host: no tensors, no files. Time runs from `t = 0` (clean) to `t = 1` (noise), grid
//! indices from `0` to `T`. Every schedule yields a [`NoiseLevel`], `x_t = alpha x0 + sigma eps`, so variance
//! preserving and variance exploding processes and flow matching's line share one step formula. A [`BetaTable`] has the
//! levels of a network that is told an integer timestep.
//!
//! Sources: DDPM (arXiv 2006.11239), flow matching (arXiv 2210.02747), TRACT (arXiv 2303.04248), DDIM (arXiv 2010.02502), EDM (arXiv 2206.00364), progressive distillation
//! (arXiv 2202.00512).
//!
//! ```
//! use fewstep_schedules::{DdimStep, PhasePlan, Schedule};
//!
//! // The paper's CIFAR-10 schedule: 1024 teacher steps become 32, then 1.
//! let plan = PhasePlan::equal(&[1024, 32, 1])?;
//! assert_eq!(plan.phases()[0].group_size(0)?, 32);
//!
//! // The inverse of a student step over half the grid recovers the `x0` that the step was given.
//! let grid = Schedule::default().grid(1024)?;
//! let step = DdimStep::new(grid.level(1024)?, grid.level(512)?)?;
//! let (x_t, x0) = (0.3, -0.5);
//! let x_s = step.apply(x_t, x0);
//! assert!((step.x0_that_lands_on(x_t, x_s) - x0).abs() < 1e-12);
//! # Ok::<(), fewstep_schedules::Error>(())
//! ```

mod beta_formulas;
mod betas;
mod ema;
mod error;
mod grid;
mod learning_rate;
mod level;
mod noise_schedule;
mod phase_levels;
mod plan;
mod schedule;
mod step;
mod timesteps;
mod weighting;

pub use betas::{BetaTable, Betas, Rounding};
pub use ema::Decay;
pub use error::{Error, Result};
pub use grid::{MAX_STEPS, NoiseGrid};
pub use learning_rate::{LearningRate, LearningRateDecay};
pub use level::NoiseLevel;
pub use noise_schedule::NoiseSchedule;
pub use phase_levels::PhaseLevels;
pub use plan::{Phase, PhasePlan, PhaseSteps, Transition};
pub use schedule::Schedule;
pub use step::DdimStep;
pub use timesteps::CleanEnd;
pub use weighting::Weighting;
