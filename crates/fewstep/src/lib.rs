//! Turns a many-step diffusion model into one that samples in one or a few steps, by TRACT (arXiv 2303.04248) and its
//! relatives, and measures how good the result is.
//!
//! Three calls do it for a network and data of yours: [`distil`] (after [`train_teacher`], if there is no teacher yet),
//! [`sample`] and [`measure`].
//!
//! ```
//! use fewstep::prelude::*;
//!
//! // A small network from the registry; one of your own is a type that implements `Network`.
//! let unet = SongConfig { image_channels: 1, resolution: 8, channels: 8, channel_mult: vec![1], n_res_blocks: 1,
//!     attention_resolutions: vec![], augment_dim: 0, ..SongConfig::cifar10_ddpmpp() };
//! let network = ModelConfig::from(Architecture::SongUnet(unet)).build()?;
//! let data: Arc<dyn Dataset> = Arc::new(digits()?);
//!
//! // Far too little training, to keep the example short.
//! let budget = Budget { samples: 512, batch: 64, learning_rate: 1e-3, seed: 0 };
//! let teacher = train_teacher(network, Schedule::default(), 16, &data, budget)?;
//! let tract = |phase, index| ObjectiveConfig::default().objective(phase, index);
//! let student = distil(&teacher, &[4, 1], &data, budget, &tract)?;
//!
//! let images = sample(&student, 0..10)?;
//! assert_eq!(images.size(), [10, 1, 8, 8]);
//! assert_eq!((teacher.grid.steps(), student.grid.steps()), (16, 1));
//! # anyhow::Ok(())
//! ```
//!
//! # A run from a config
//!
//! The program of the same name trains from a config file, can be interrupted anywhere, and writes models, numbers with
//! their records, pictures and a report. It is a thin layer over this:
//!
//! ```no_run
//! use fewstep::{config, plan::Run, session::Session};
//!
//! let layers = config::Layers { file: Some("configs/digits.toml".into()), set: vec!["seed=1".into()] };
//! let results = Run::new(config::load(&layers)?)?.execute("runs".as_ref(), &Session::quiet())?;
//! println!("{}", results.summary().join("\n"));
//! # anyhow::Ok(())
//! ```
//!
//! # What to bring of your own
//!
//! | | implement | and hand it to |
//! |---|---|---|
//! | a network | [`Network`](models::Network) | [`train_teacher`], a [`Stage`](train::Stage) |
//! | an objective | [`Objective`](objectives::Objective) | [`distil`], a [`Stage`](train::Stage) |
//! | a data set | [`Dataset`](data::Dataset) | every call that trains or measures |
//! | a schedule | [`NoiseSchedule`](schedules::NoiseSchedule), or [`NoiseGrid::new`](schedules::NoiseGrid::new) | [`train_teacher`] |
//! | a metric | [`Metric`](eval::Metric) | [`measure_by`], an [`Evaluator`](evaluation::Evaluator) |
//! | a feature space | [`Space`](eval::Space) and [`ExtractFeatures`](eval::ExtractFeatures) | [`measure_by`] |
//!
//! # The crates below
//!
//! Each is useful alone: [`random`], [`schedules`], [`data`] and [`report`] need no libtorch; [`models`], [`samplers`],
//! [`objectives`] and [`train`] are the method; [`eval`] measures. Errors of this crate are `anyhow`'s: a chain that says what
//! was done, down to the typed error of the crate that failed, which `downcast_ref` finds.

pub mod bench;
mod calls;
pub mod config;
pub mod doctor;
pub mod evaluation;
mod feasibility;
pub mod fetch;
pub mod images;
pub mod import;
pub mod plan;
pub mod prelude;
pub mod progress;
pub mod run;
pub mod session;

pub use calls::{Budget, MakeObjective, distil, measure, measure_by, sample, train_teacher};
pub use fewstep_torch::prepare;

pub use fewstep_data as data;
pub use fewstep_distill as objectives;
pub use fewstep_eval as eval;
pub use fewstep_models as models;
pub use fewstep_random as random;
pub use fewstep_report as report;
pub use fewstep_samplers as samplers;
pub use fewstep_schedules as schedules;
pub use fewstep_torch as torch;
pub use fewstep_train as train;
