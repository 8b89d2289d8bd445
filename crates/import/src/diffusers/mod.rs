//! Folders of diffusers: an unconditional pipeline, or a bare `UNet2DModel`.
//!
//! The folder says everything: `config.json` describes the network, `scheduler_config.json` its noise levels and what it
//! predicts. Every option that is known changes what it changes there; an option that is not known is refused by its name,
//! because it might. Nothing in the folder is executed.

mod folder;
mod options;
mod scheduler;
mod unet;

use std::path::{Path, PathBuf};

use fewstep_formats::{Checkpoint, NamedArray};
use fewstep_models::{Architecture, ModelConfig, Prediction, TimeInput};
use fewstep_schedules::Rounding;

use crate::diffusers::folder::{Contents, Json};
use crate::error::{Error, MissingHint, Result};
use crate::hints::Hints;
use crate::source::{Conversion, Rows, Source};
use crate::trained_as::TrainedAs;
use crate::{Naming, Recognised, Sampling};
use fewstep_formats::escaped_name;

/// A folder of diffusers, in memory.
#[derive(Debug)]
pub struct Pipeline {
    network: Json,
    scheduler: Option<Json>,
    checkpoint: Checkpoint,
    files: Vec<PathBuf>,
    entry: String,
    licence: Option<String>,
    notes: Vec<String>,
}

impl Pipeline {
    /// Reads a folder: a pipeline in the present layout or the old flat one, a folder of a training run (`unet_ema` and
    /// `unet`), or a network alone. `entry` chooses among several networks or variants of weights, such as `unet` or `fp16`.
    ///
    /// # Errors
    /// A folder of another kind, a pipeline with other parts than one network and its scheduler, a file that is missing or
    /// damaged, an index that names a file outside the folder, or several variants and no choice: the file is named.
    pub fn read(path: &Path, entry: Option<&str>) -> Result<Self> {
        let Contents { network, scheduler, weights, entry, mut notes } = folder::find(path, entry)?;
        let (checkpoint, mut files) = folder::read_weights(&weights)?;
        files
            .extend([Some(&network), scheduler.as_ref()].into_iter().flatten().map(|json| json.path.clone()));
        files.sort();
        if let Some(variant) = weights.variant() {
            notes.push(format!("the weights are those of the variant `{}`", escaped_name(variant)));
        }
        let licence = folder::licence(path);
        Ok(Self { network, scheduler, checkpoint, files, entry, licence, notes })
    }

    /// The licence that the folder's model card names, `README.md`.
    pub fn licence(&self) -> Option<&str> {
        self.licence.as_deref()
    }

    /// The files that were read, sorted.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The network in the folder.
    ///
    /// # Errors
    /// [`Error::File`] for an option that is not known or cannot be; [`Error::MissingHints`] for a folder without a
    /// scheduler; those of [`recognise`](crate::recognise) for tensors.
    pub fn recognise(&self, hints: &Hints) -> Result<Recognised<'_>> {
        let mut notes = self.notes.clone();
        let (time, prediction, sampling) = match &self.scheduler {
            Some(json) => scheduler::read(json, &mut notes)?,
            None => without_scheduler(hints)?,
        };
        if let Some(asked) = hints.prediction.filter(|asked| *asked != prediction) {
            return Err(Error::Contradiction {
                key: "prediction".to_owned(),
                said_by: "the request",
                said: format!("{asked:?}"),
                found: format!("the scheduler's config says {prediction:?}"),
            });
        }
        let network = unet::read(&self.network, time, hints.resolution)?;
        let sources = self.checkpoint.arrays.iter().map(source).collect::<Result<Vec<_>>>()?;
        Ok(Recognised {
            config: ModelConfig { network: Architecture::UNet2d(network), prediction },
            entry: self.entry.clone(),
            steps: None,
            sampling: Some(sampling),
            notes,
            sources,
            naming: Naming::Below(String::new()),
        })
    }
}

/// What a folder without a scheduler leaves to the hints. The package's tables are f32.
fn without_scheduler(hints: &Hints) -> Result<(TimeInput, Prediction, Sampling)> {
    let Some(trained_as) = hints.trained_as else {
        return Err(Error::MissingHints { what: vec![MissingHint::TrainedAs] });
    };
    if trained_as == TrainedAs::Flow {
        return Err(Error::Contradiction {
            key: "trained_as".to_owned(),
            said_by: "the request",
            said: "torchcfm's flow matching".to_owned(),
            found: "a folder of diffusers says flow matching by its scheduler's config".to_owned(),
        });
    }
    let mut time = trained_as.time();
    if let TimeInput::Timesteps { table } = &mut time {
        table.rounding = Rounding::F32;
    }
    Ok((time, trained_as.prediction(hints.prediction)?, Sampling::default()))
}

/// A tensor of the network under its present name: attention was once named otherwise, and stored as convolutions of one
/// pixel.
fn source(array: &NamedArray) -> Result<Source<'_>> {
    const OLD: [(&str, &str); 4] =
        [("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")];
    let mut name = array.name.clone();
    let Some((module, part)) = array.name.rsplit_once('.').filter(|(m, _)| m.contains(".attentions.")) else {
        return Source::new(name, vec![array], Conversion::Same);
    };
    if let Some((block, layer)) = module.rsplit_once('.')
        && let Some((_, new)) = OLD.iter().find(|(old, _)| *old == layer)
    {
        name = format!("{block}.{new}.{part}");
    }
    let is_layer = part == "weight" && !module.ends_with(".group_norm");
    let conversion =
        if is_layer && array.shape.len() > 2 { Conversion::Matrix(Rows::ALL) } else { Conversion::Same };
    Source::new(name, vec![array], conversion)
}
