//! Training objectives: what the student must answer, where, and how much it counts.
//!
//! [`Denoising`] makes teachers; [`Tract`] (arXiv 2303.04248) turns many steps into few, [`Btd`] halves them. All are
//! functions from denoisers and a [`Batch`] to a [`Target`], and share one loss, [`Target::losses`]. Nothing here knows of files,
//! optimizers or devices; time runs from 0 (clean) to 1 (noise).
//!
//! ```
//! use fewstep_distill::{Batch, Tract, TractConfig, draw_transitions};
//! use fewstep_models::exact::Point;
//! use fewstep_schedules::{PhasePlan, Schedule};
//! use fewstep_torch::{Key, Stream, Tensor};
//!
//! let plan = PhasePlan::equal(&[16, 4])?;
//! let tract = Tract { grid: Schedule::default().grid(plan.steps())?, config: TractConfig::default() };
//! let ns: Vec<u64> = (0..8).collect();
//! let images = |values: &[f64]| Tensor::f_from_slice(values)?.f_view([8, 1, 1, 1]);
//! let noise: Vec<f64> = Key::new(0, 0, Stream::Noise).normals(&ns, 1).into_iter().map(f64::from).collect();
//! let batch = Batch { x0: images(&[0.25; 8])?, noise: images(&noise)?, labels: None };
//! let transitions = draw_transitions(&plan.phases()[0], 0, 0, &ns)?;
//!
//! // A teacher that knows that all data is one point: wherever a student stands, it must answer with that point.
//! let teacher = Point { mean: images(&[0.25; 8])? };
//! let (target, _) = tract.target(&teacher, &teacher, &batch, &transitions)?;
//! let off = target.x0.f_sub(&batch.x0)?.f_abs()?.f_max()?.f_double_value(&[])?;
//! assert!(off < 1e-9);
//! # Ok::<(), fewstep_distill::Error>(())
//! ```

mod batch;
mod btd;
mod denoising;
mod draw;
mod error;
mod target;
mod tract;

pub use batch::Batch;
pub use btd::{Btd, BtdConfig, LastStep};
pub use denoising::{Denoising, DenoisingConfig, NoiseDraw};
pub use draw::{draw_group_tops, draw_levels, draw_transitions};
pub use error::{Error, Result};
pub use target::{Reduction, Target};
pub use tract::{Tract, TractConfig, TractStates};
