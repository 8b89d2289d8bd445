//! Exports models to the files of other programs.
//!
//! `fewstep-import` brings a teacher in, and this crate carries a student out to where the teacher came from:
//! [`DiffusersPipeline`] is a folder that `DDIMPipeline.from_pretrained` loads and whose ordinary call gives the images of
//! `fewstep sample`. A model that a format cannot express is refused with a sentence that says what to do; a folder is
//! written whole or not at all. [`read_back`] makes the model file of an exported folder again, to the byte.
//!
//! In the layers: beside `fewstep-import`, above samplers, because a student is a network and the steps that it takes.
//!
//! ```
//! use fewstep_export::DiffusersPipeline;
//! use fewstep_models::{Architecture, ModelConfig, edm::SongConfig};
//! # use fewstep_samplers::{ModelCard, ModelFile, Role};
//! # use fewstep_schedules::Schedule;
//!
//! let network = Architecture::SongUnet(SongConfig { channels: 8, ..SongConfig::cifar10_ddpmpp() });
//! let model = ModelConfig::from(network);
//! let network = model.build()?;
//! let flat = network.layout().initial(0)?;
//! # let card = ModelCard::new(model, Schedule::karras(), 2, vec![0, 2], Role::Student);
//! let error = DiffusersPipeline::of(&ModelFile { card, network, flat }).unwrap_err().to_string();
//! assert!(error.contains("no unit variance") && error.contains("--format torch"), "{error}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod diffusers;
mod error;
mod readme;

pub use diffusers::{Pipeline as DiffusersPipeline, read_back};
pub use error::{Error, Result};
pub use readme::About;
