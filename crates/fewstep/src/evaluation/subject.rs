//! A model that is measured.

use std::sync::Arc;

use anyhow::Result;
use fewstep_eval::{GenerationSettings, Weights};
use fewstep_files::Digest;
use fewstep_models::Network;
use fewstep_samplers::{LabelRule, ModelCard, ModelFile};
use fewstep_schedules::NoiseGrid;
use fewstep_torch::{Compute, Tensor, digest_of_values};
use serde::Serialize;

use super::labels::labels;

/// A model that is measured.
pub struct Subject<'a> {
    /// `teacher`, `student` or `model`.
    pub what: &'a str,
    /// How it is sampled.
    pub card: &'a ModelCard,
    /// The network.
    pub network: &'a Arc<dyn Network>,
    /// Its parameters, on the device that computes.
    pub flat: &'a Tensor,
    /// What the network computes in.
    pub compute: Compute,
    /// Of the parameters.
    pub digest: Digest,
}

impl<'a> Subject<'a> {
    /// `flat` are the parameters of `file`, on the device and of the kind that `compute` has.
    pub fn of_file(what: &'a str, file: &'a ModelFile, flat: &'a Tensor, compute: Compute) -> Result<Self> {
        let digest = digest_of(&file.flat)?;
        Ok(Self { what, card: &file.card, network: &file.network, flat, compute, digest })
    }

    /// Which copy of a run's weights they are.
    pub fn weights(&self) -> Weights {
        match self.card.inference_decay {
            Some(decay) => Weights::Ema { decay, bias_corrected: true },
            None => Weights::Unknown,
        }
    }

    /// How it is asked for images, on these levels and with labels by this rule.
    pub fn making(&self, grid: &NoiseGrid, rule: &LabelRule) -> Result<GenerationSettings> {
        let ModelCard { model, schedule, clip, .. } = self.card;
        let mut levels = Vec::new();
        for i in 0..=grid.steps() {
            let level = grid.level(i)?;
            levels.extend([level.alpha, level.sigma].map(f64::to_le_bytes).concat());
        }
        Ok(GenerationSettings {
            network: Digest::of(&serde_json::to_vec(&model.network)?),
            prediction: words(&model.prediction)?,
            // The digest of the levels stands for the numbers of a list.
            schedule: words(&schedule.without_lists())?,
            levels: Digest::of(&levels),
            clip: words(clip)?,
            labels: labels(rule, model.n_classes()),
        })
    }
}

/// A choice as a config has it, without quotes.
fn words(choice: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(choice)?.replace('"', "").replace(',', ", "))
}

/// Digest of the parameters' bytes.
pub fn digest_of(flat: &Tensor) -> Result<Digest> {
    Ok(digest_of_values(flat)?)
}
