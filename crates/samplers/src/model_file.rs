//! A finished model as one file: parameters by name, and a card that says what they are and how they are sampled.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use fewstep_models::{ModelConfig, Network, X0Clip};
use fewstep_schedules::{NoiseGrid, Schedule};
use fewstep_torch::{Compute, Device, Params, SafetensorsFile, Tensor, escaped, load, load_card, save};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::Model;
use crate::sampler::Sampler;

/// Everything that is needed to sample from the parameters, and where they came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// Version of this card.
    pub format: u32,
    /// The network and what it predicts.
    pub model: ModelConfig,
    /// Kind that the network computes in, and of the parameters in the file.
    #[serde(default, skip_serializing_if = "Compute::is_f32")]
    pub compute: Compute,
    /// Noise levels by time.
    pub schedule: Schedule,
    /// Steps of the time grid.
    pub timesteps: usize,
    /// Indices of the grid that sampling visits, ascending from 0: `[0, T]` for a one-step student.
    pub visits: Vec<usize>,
    /// Clipping of `x0_hat` in every sampling step.
    pub clip: X0Clip,
    /// How the visited levels are walked.
    #[serde(default, skip_serializing_if = "Sampler::is_ddim")]
    pub sampler: Sampler,
    /// mu_I, if the parameters are a moving average of that decay; absent if they are none, or if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_decay: Option<f64>,
    /// Data set that it was trained on.
    pub dataset: String,
    /// Digest of that data set.
    pub dataset_digest: String,
    /// Images of each class in it; empty for a network without classes, or if that is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_counts: Vec<u64>,
    /// Samples seen in training, all stages together.
    pub samples: u64,
    /// What it was trained to do.
    pub role: Role,
    /// Seed of the run.
    pub seed: u64,
    /// Version of the program that wrote it.
    pub version: String,
    /// The file of another program that it was imported from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ImportedFrom>,
    /// Licence of that file, or of the teacher's, as the other program's model card names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
}

/// What a model was trained to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Denoises at every noise level.
    #[serde(alias = "teacher, inference average", alias = "imported teacher")]
    Teacher,
    /// Takes the steps that it was taught, by DDIM: from each level that it visits to the next one.
    #[serde(alias = "student, inference average")]
    Student,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Teacher => "teacher",
            Self::Student => "student",
        })
    }
}

/// Where an imported model's parameters came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedFrom {
    /// Name of the file, without its folder.
    pub file: String,
    /// sha256 of the file.
    pub sha256: String,
    /// The network in the file: the keys that lead to it, joined by dots; empty: the whole file.
    pub entry: String,
}

/// A model with its parameters, ready to be sampled.
#[derive(Debug)]
pub struct ModelFile {
    /// The card.
    pub card: ModelCard,
    /// The network.
    pub network: Arc<dyn Network>,
    /// Flat parameters on the CPU, `[total]`, of the card's kind.
    pub flat: Tensor,
}

impl ModelFile {
    /// Writes `flat` under the card's network, atomically; the same input gives the same bytes.
    ///
    /// # Errors
    /// Parameters of another kind than the card says, or a file that cannot be written: what stood there stays.
    pub fn save(path: &Path, card: &ModelCard, network: &dyn Network, flat: &Tensor) -> Result<()> {
        if flat.kind() != card.compute.kind() {
            let problem = format!("a card of {} for parameters of {:?}", card.compute, flat.kind());
            return Err(Error::File { path: path.to_owned(), problem });
        }
        let params = Params::frozen(Arc::clone(network.layout()), flat)?;
        let tensors: Vec<(String, Tensor)> =
            params.named().map(|(name, t)| (name.to_owned(), t.shallow_clone())).collect();
        let text = serde_json::to_string(card)
            .map_err(|e| Error::File { path: path.to_owned(), problem: format!("model card: {e}") })?;
        save(path, &tensors, Some(&text))?;
        Ok(())
    }

    /// Reads a model of a network that a config can name.
    ///
    /// # Errors
    /// A file that cannot be read, has no card, or whose tensors do not fit its own network: names the file and the
    /// difference. A network outside these crates: see [`ModelFile::load_with`].
    pub fn load(path: &Path) -> Result<Self> {
        let file = load(path)?;
        let card = parse_card(path, file.card.as_deref())?;
        let network = card.model.build()?;
        Self::gather(path, file, card, network)
    }

    /// Reads a model of `network`, such as one outside these crates.
    ///
    /// # Errors
    /// A file that cannot be read, has no card, or holds another network.
    pub fn load_with(path: &Path, network: Arc<dyn Network>) -> Result<Self> {
        let file = load(path)?;
        let card = parse_card(path, file.card.as_deref())?;
        let expected = ModelConfig::of(network.as_ref())?;
        if card.model != expected {
            let problem = format!("holds {:?}, expected {expected:?}", card.model);
            return Err(Error::File { path: path.to_owned(), problem });
        }
        Self::gather(path, file, card, network)
    }

    /// The model on a device and computing in `compute`, to be sampled in `steps` steps or in those that it was made for.
    ///
    /// # Errors
    /// A number of steps that it cannot take, or libtorch cannot allocate.
    pub fn model(&self, steps: Option<usize>, device: Device, compute: Compute) -> Result<Model> {
        let flat = self.flat.f_to_device(device)?.f_to_kind(compute.kind())?;
        self.card.model(Arc::clone(&self.network), flat, steps, compute)
    }

    fn gather(
        path: &Path,
        file: SafetensorsFile,
        card: ModelCard,
        network: Arc<dyn Network>,
    ) -> Result<Self> {
        let kind = card.compute.kind();
        let flat = network.layout().gather(&path.display().to_string(), &file.tensors, kind)?;
        Ok(Self { card, network, flat })
    }
}

impl ModelCard {
    /// The card of a model of these steps, in f32, sampled by DDIM with clipping, of which nothing else is known.
    pub fn new(
        model: ModelConfig,
        schedule: Schedule,
        timesteps: usize,
        visits: Vec<usize>,
        role: Role,
    ) -> Self {
        Self {
            format: 1,
            model,
            compute: Compute::F32,
            schedule,
            timesteps,
            visits,
            clip: X0Clip::UnitRange,
            sampler: Sampler::default(),
            inference_decay: None,
            dataset: "unknown".to_owned(),
            dataset_digest: String::new(),
            class_counts: Vec::new(),
            samples: 0,
            role,
            seed: 0,
            version: env!("CARGO_PKG_VERSION").into(),
            source: None,
            licence: None,
        }
    }

    /// The card in its JSON form.
    ///
    /// # Errors
    /// Why it is none, for a message: the reason may quote the text, so it is escaped and shortened.
    pub fn from_json(text: &[u8]) -> std::result::Result<Self, String> {
        const LONGEST: usize = 300;
        serde_json::from_slice(text).map_err(|e| escaped(&e.to_string(), LONGEST))
    }

    /// The card of a model file, without its parameters.
    ///
    /// # Errors
    /// A file that cannot be read or has no card; the file is named.
    pub fn read(path: &Path) -> Result<Self> {
        parse_card(path, load_card(path)?.as_deref())
    }

    /// The noise levels of `steps` steps, or those that the model was made for.
    ///
    /// A teacher knows every level, so any number of steps makes a grid of its own. A student was taught on one grid: it
    /// can take a part of it, at even distances.
    ///
    /// # Errors
    /// A number of steps that the model cannot take.
    pub fn levels(&self, steps: Option<usize>) -> Result<NoiseGrid> {
        let grid = self.schedule.grid(self.timesteps)?;
        match steps {
            Some(n) if self.role == Role::Teacher => Ok(self.schedule.grid(n)?),
            Some(n) if n + 1 != self.visits.len() => {
                grid.every(n).map_err(|_| Error::StudentSteps { steps: n, grid: self.timesteps })
            }
            _ => Ok(grid.visited(&self.visits)?),
        }
    }

    /// The network over `flat`, `[total]`, to be sampled as this card says, in `steps` steps or in those that the model was
    /// made for, computing in `compute`.
    ///
    /// # Errors
    /// A number of steps that the model cannot take.
    pub fn model(
        &self,
        network: Arc<dyn Network>,
        flat: Tensor,
        steps: Option<usize>,
        compute: Compute,
    ) -> Result<Model> {
        let Self { clip, sampler, .. } = *self;
        Ok(Model { network, flat, compute, grid: self.levels(steps)?, clip, sampler })
    }

    /// Number of steps that the model was made for.
    pub fn own_steps(&self) -> usize {
        self.visits.len().saturating_sub(1)
    }
}

fn parse_card(path: &Path, text: Option<&str>) -> Result<ModelCard> {
    let bad = |problem: String| Error::File { path: path.to_owned(), problem };
    let text = text.ok_or_else(|| bad("has no model card; was it written by another program?".into()))?;
    ModelCard::from_json(text.as_bytes()).map_err(|reason| bad(format!("model card: {reason}")))
}
