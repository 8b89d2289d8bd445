//! Training: the plan, the state that changes, the step that changes it, the loop, and checkpoints.
//!
//! A [`Plan`] is a list of [`Stage`]s; each says what it makes, by what objective, from what. [`TrainState`] owns everything
//! that a run changes; inside a stage [`train_step`] changes the buffers and [`Trainer`] counts the samples. What happens next
//! depends on the plan, the state and keyed draws alone, so a run that was interrupted anywhere ends in the same bytes as one
//! that was not. Evaluation, files of results and the program are not known here: they hang on the [`Observer`].
//!
//! A network learns to be a constant image from four of them:
//!
//! ```
//! use std::sync::{Arc, atomic::AtomicBool};
//!
//! use fewstep_data::{Dataset, ImageShape, InMemory};
//! use fewstep_distill::{Denoising, DenoisingConfig};
//! use fewstep_models::{Architecture, ModelConfig, X0Clip, edm::SongConfig};
//! use fewstep_samplers::Solver;
//! use fewstep_schedules::{LearningRate, Schedule};
//! use fewstep_torch::{AdamConfig, Compute, Device, GradientRule};
//! use fewstep_train::{CheckpointStore, Outcome, Plan, Product, Stage, StageStart, TrainState, Trainer};
//!
//! let network = SongConfig { resolution: 1, channels: 8, channel_mult: vec![1], n_res_blocks: 1,
//!     attention_resolutions: vec![], augment_dim: 0, ..SongConfig::cifar10_ddpmpp() };
//! let network = ModelConfig::from(Architecture::SongUnet(network)).build()?;
//! let stage = Stage {
//!     name: "teacher".to_owned(),
//!     makes: Product::teacher(64, X0Clip::UnitRange, Solver::Ddim),
//!     network: network.clone(),
//!     teacher: network.clone(),
//!     objective: Arc::new(Denoising::new(Schedule::default(), DenoisingConfig::default())?),
//!     start: StageStart::Fresh,
//!     steps: 20,
//!     learning_rate: LearningRate::constant(1e-2),
//!     inference_decay: 0.9,
//!     self_teacher_decay: 0.5,
//!     dropout: 0.0,
//! };
//! let plan = Plan { seed: 0, compute: Compute::F32.into(), batch: 8, micro_batch: 8, flip: false, adam: AdamConfig::default(),
//!     gradient: GradientRule::default(), stages: vec![stage], checkpoint_every: 80 };
//!
//! let shape = ImageShape { c: 3, h: 1, w: 1 };
//! let data: Arc<dyn Dataset> = Arc::new(InMemory::new("four", shape, vec![200; 12], None, 0)?);
//! let folder = std::env::temp_dir().join(format!("fewstep-train-{}", std::process::id()));
//! let store = CheckpointStore::open(&folder, "an identity of the run", 1)?;
//! let state = TrainState::fresh(network.as_ref(), plan.seed, plan.adam, plan.compute.student, Device::Cpu)?;
//! let trainer = Trainer { plan: &plan, store: &store, device: Device::Cpu };
//! let Outcome::Finished(state) = trainer.run(state, &data, &AtomicBool::new(false), &mut ())? else { panic!("stopped") };
//! assert_eq!(state.adam.steps, 20);
//! // The last checkpoint is there to go on from.
//! assert!(store.load_newest(&plan, Device::Cpu)?.is_some());
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), fewstep_train::Error>(())
//! ```
//!
//! `fewstep` builds plans from configs, and has the calls that do all of this at once.

mod checkpoint;
mod error;
mod feed;
mod handed;
mod in_flight;
mod loader;
mod memory;
mod plan;
mod policy;
mod prefetch;
mod share;
mod state;
mod step;
mod trainer;

pub use checkpoint::{CheckpointStore, Origin, Restored};
pub use error::{Difference, Error, Result};
pub use handed::hand_out;
pub use loader::{DrawConfig, make_batch};
pub use memory::Need;
pub use plan::{Plan, Product, Stage, StageStart};
pub use policy::ComputePolicy;
pub use prefetch::Prefetch;
pub use share::Share;
pub use state::TrainState;
pub use step::{Rates, StepReport, StepSettings, shared_step, train_step};
pub use trainer::{Observer, Outcome, Progress, Trainer};
