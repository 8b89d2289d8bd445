//! A finished model as one file: parameters by name, and a card that says what they are.

use std::path::Path;
use std::sync::Arc;

use fewstep_models::{Model, ModelConfig};
use fewstep_samplers::{Sampler, X0Clip};
use fewstep_schedules::Schedule;
use fewstep_torch::{Compute, Params, Tensor, load, load_card, save};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

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
    /// Decay of the average that the parameters are, mu_I; absent: they are no average, or nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_decay: Option<f64>,
    /// Data set that it was trained on.
    pub dataset: String,
    /// Digest of that data set.
    pub dataset_digest: String,
    /// Images of each class in it; empty for a network without classes, or if nobody knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_counts: Vec<u64>,
    /// Samples seen in training, all stages together.
    pub samples: u64,
    /// What may be asked of it.
    pub role: Role,
    /// Seed of the run.
    pub seed: u64,
    /// Version of the program that wrote it.
    pub version: String,
    /// The file of another program that it was imported from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ImportedFrom>,
}

/// What a model may be asked.
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

/// A model with its parameters, ready to be asked.
#[derive(Debug)]
pub struct ModelFile {
    /// The card.
    pub card: ModelCard,
    /// The network.
    pub model: Model,
    /// Flat parameters on the CPU, `[total]`, of the card's kind.
    pub flat: Tensor,
}

impl ModelFile {
    /// Writes `flat` under the card's network, atomically; the same input gives the same bytes.
    ///
    /// # Errors
    /// Parameters of another kind than the card says, or a file that cannot be written: what stood there stays.
    pub fn save(path: &Path, card: &ModelCard, model: &Model, flat: &Tensor) -> Result<()> {
        if flat.kind() != card.compute.kind() {
            let problem = format!("a card of {} for parameters of {:?}", card.compute, flat.kind());
            return Err(Error::File { path: path.to_owned(), problem });
        }
        let params = Params::frozen(Arc::clone(model.layout()), flat)?;
        let tensors: Vec<(String, Tensor)> =
            params.named().map(|(name, t)| (name.to_owned(), t.shallow_clone())).collect();
        let text = serde_json::to_string(card).map_err(std::io::Error::other)?;
        Ok(save(path, &tensors, Some(&text))?)
    }

    /// Reads a model.
    ///
    /// # Errors
    /// A file that cannot be read, has no card, or whose tensors do not fit its own network: names the file and the
    /// difference.
    pub fn load(path: &Path) -> Result<Self> {
        let file = load(path)?;
        let card = parse_card(path, file.card.as_deref())?;
        let model = Model::new(card.model.clone())?;
        let flat = model.layout().gather(&path.display().to_string(), &file.tensors, card.compute.kind())?;
        Ok(Self { card, model, flat })
    }
}

impl ModelCard {
    /// The card of a model file, without its parameters.
    ///
    /// # Errors
    /// A file that cannot be read or has no card; the file is named.
    pub fn read(path: &Path) -> Result<Self> {
        parse_card(path, load_card(path)?.as_deref())
    }
}

fn parse_card(path: &Path, text: Option<&str>) -> Result<ModelCard> {
    let bad = |problem: String| Error::File { path: path.to_owned(), problem };
    let text = text.ok_or_else(|| bad("has no model card; was it written by another program?".into()))?;
    serde_json::from_str(text).map_err(|e| bad(format!("model card: {e}")))
}
