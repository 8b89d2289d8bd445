//! Exports models to the files of other programs.
//!
//! `fewstep-import` brings a teacher in, and this crate carries a student out to where the teacher came from:
//! [`DiffusersPipeline`] is a folder that `DDIMPipeline.from_pretrained` loads and whose ordinary call gives the images of
//! `fewstep sample`. [`PytorchFolder`] is for every other network: the weights, and one readable file of Python with the
//! network and its sampler. A model that a format cannot express is refused with a sentence that says what to do; a folder
//! is written whole or not at all. [`read_back`] makes the model file of an exported folder again, to the byte.
//!
//! In the layers: beside `fewstep-import`, above samplers, because a student is a network and the steps that it takes.
//!
//! ```
//! use fewstep_export::{DiffusersPipeline, PytorchFolder};
//! use fewstep_models::{Architecture, ModelConfig, edm::SongConfig};
//! # use fewstep_samplers::{ModelCard, ModelFile, Role};
//! # use fewstep_schedules::Schedule;
//!
//! let network = Architecture::SongUnet(SongConfig { channels: 8, ..SongConfig::cifar10_ddpmpp() });
//! let model = ModelConfig::from(network);
//! let network = model.build()?;
//! let flat = network.layout().initial(0)?;
//! # let card = ModelCard::new(model, Schedule::karras(), 2, vec![0, 2], Role::Student);
//! let file = ModelFile { card, network, flat };
//! let error = DiffusersPipeline::of(&file).unwrap_err().to_string();
//! assert!(error.contains("no unit variance") && error.contains("--format torch"), "{error}");
//! PytorchFolder::of(&file)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod diffusers;
mod error;
mod pytorch;
mod readme;

use std::path::Path;

use fewstep_samplers::ModelFile;

pub use diffusers::Pipeline as DiffusersPipeline;
pub use error::{Error, Result};
pub use pytorch::PytorchFolder;
pub use readme::About;

/// The model of a folder that this crate wrote, to the byte; `None` for another folder.
///
/// # Errors
/// A folder that cannot be read, or that was changed since.
pub fn read_back(folder: &Path) -> Result<Option<ModelFile>> {
    match pytorch::read_back(folder)? {
        Some(file) => Ok(Some(file)),
        None => diffusers::read_back(folder),
    }
}
