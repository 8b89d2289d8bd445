//! Training objectives: what the student must answer, where, and how much it counts.
//!
//! [`Denoising`] makes teachers; [`Tract`] (arXiv 2303.04248) turns many steps into few, [`Btd`] halves them. Each is an
//! [`Objective`]: a function from denoisers and a [`Batch`] to a [`Target`], which carries its weight. An objective of
//! yours is a type that implements the trait. What a config can name is in [`ObjectiveConfig`]; what suits a family of
//! networks, in [`Recipe`]. Nothing here knows of files or optimizers; time runs from 0 (clean) to 1 (noise).
//!
//! ```
//! use fewstep_distill::{Batch, Objective, Teachers, Tract, TractConfig};
//! use fewstep_models::exact::Point;
//! use fewstep_random::{Draws, Stream};
//! use fewstep_schedules::{PhasePlan, Schedule};
//! use fewstep_torch::Tensor;
//!
//! let plan = PhasePlan::equal(&[16, 4])?;
//! let phase = plan.on(&Schedule::default().grid(16)?)?.remove(0);
//! let tract = Tract::new(phase, TractConfig::default())?;
//!
//! let draws = Draws::new(0, 0, (0..8).collect());
//! let images = |values: &[f64]| Tensor::f_from_slice(values)?.f_view([8, 1, 1, 1]);
//! let noise: Vec<f64> = draws.normals(Stream::Noise, 1).into_iter().map(f64::from).collect();
//! let batch = Batch { x0: images(&[0.25; 8])?, noise: images(&noise)?, labels: None, draws };
//!
//! // A teacher that knows that all data is one point: wherever a student stands, it must answer with that point.
//! let teacher = Point { mean: images(&[0.25; 8])? };
//! let target = tract.target(&Teachers::new(Some(&teacher), Some(&teacher)), &batch)?;
//! let off = target.x0.f_sub(&batch.x0)?.f_abs()?.f_max()?.f_double_value(&[])?;
//! assert!(off < 1e-9);
//! # Ok::<(), fewstep_distill::Error>(())
//! ```
//!
//! `fewstep-train` takes optimizer steps on an objective.

mod batch;
mod btd;
mod denoising;
mod draw;
mod error;
mod objective;
mod phase_objective;
mod recipe;
mod registry;
mod target;
mod tract;

pub use batch::Batch;
pub use btd::{Btd, BtdConfig, LastStep};
pub use denoising::{Denoising, DenoisingConfig, NoiseDraw};
pub use error::{Error, Result};
pub use objective::{Asks, Objective, Teachers};
pub use phase_objective::{PhaseObjective, TeacherSteps};
pub use recipe::Recipe;
pub use target::{Reduction, Target};
pub use tract::{Tract, TractConfig, TractStates};

// The objectives that a phase in a config can name. One joins by its file and its lines here.
registry::objectives! {
    /// Transitive closure time-distillation (arXiv 2303.04248).
    Tract(TractConfig) = "tract",
    /// Binary time distillation (progressive distillation, arXiv 2202.00512). A phase that does not halve the steps is refused.
    Btd(BtdConfig) = "btd",
}
