//! Training objectives: what the student must answer, where, and how much it counts.
//!
//! [`Denoising`] makes teachers; [`Tract`] (arXiv 2303.04248) turns many steps into few, [`Btd`] halves them. All are
//! functions from denoisers and a [`Batch`] to a [`Target`], and share one loss, [`Target::losses`]. Nothing here knows of files,
//! optimizers or devices; time runs from 0 (clean) to 1 (noise).

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
