//! Training: the state that changes, the step that changes it, the loop, and checkpoints.
//!
//! [`TrainState`] owns everything that a run changes; [`train_step`] is the only function that changes it inside a stage,
//! and what it does depends on the plan, the state and keyed draws alone. A run that was interrupted anywhere therefore
//! ends in the same bytes as one that was not. Evaluation, files of results and the program are not known here: they hang
//! on the [`Observer`].

mod checkpoint;
mod error;
mod model_file;
mod networks;
mod objective;
mod plan;
mod state;
mod step;
mod trainer;

pub use checkpoint::{CheckpointStore, Origin, Restored};
pub use error::{Difference, Error, Result};
pub use model_file::{ImportedFrom, ModelCard, ModelFile, Role};
pub use networks::Networks;
pub use objective::{Draws, Objective};
pub use plan::{Stage, StageStart, TrainPlan};
pub use state::TrainState;
pub use step::{DropoutDraws, Rates, StepOptions, StepReport, train_step};
pub use trainer::{Observer, Outcome, Progress, Trainer};
