//! Training objectives: what the student must answer, where, and how much it counts.
//!
//! [`Denoising`] makes teachers; [`Tract`] (arXiv 2303.04248) turns many steps into few. Both are functions from
//! denoisers and a [`Batch`] to a [`Target`], and share one loss, [`Target::losses`]. Nothing here knows of files,
//! optimizers or devices; time runs from 0 (clean) to 1 (noise).

mod batch;
mod denoising;
mod draw;
mod error;
mod target;
mod tract;

pub use batch::Batch;
pub use denoising::{Denoising, DenoisingConfig};
pub use draw::{draw_times, draw_transitions};
pub use error::{Error, Result};
pub use target::{Reduction, Target};
pub use tract::{Tract, TractConfig, TractStates};
