//! A model that is measured.

use anyhow::Result;
use fewstep_eval::{Making, Weights};
use fewstep_files::Digest;
use fewstep_models::Model;
use fewstep_samplers::LabelRule;
use fewstep_schedules::NoiseGrid;
use fewstep_torch::{Tensor, raw_bytes};
use fewstep_train::{ModelCard, ModelFile};
use serde::Serialize;

use super::labels::labels;

/// A model that is measured.
pub(crate) struct Subject<'a> {
    /// `teacher`, `student` or `model`.
    pub(crate) what: &'a str,
    pub(crate) card: &'a ModelCard,
    pub(crate) model: &'a Model,
    /// On the device and of the kind that computes.
    pub(crate) flat: &'a Tensor,
    /// Of the parameters.
    pub(crate) digest: Digest,
}

impl<'a> Subject<'a> {
    /// `flat` are the parameters of `file`, on the device and of the kind that computes.
    pub(crate) fn of_file(what: &'a str, file: &'a ModelFile, flat: &'a Tensor) -> Result<Self> {
        Ok(Self { what, card: &file.card, model: &file.model, flat, digest: digest_of(&file.flat)? })
    }

    /// Which copy of a run's weights they are.
    pub(crate) fn weights(&self) -> Weights {
        match self.card.inference_decay {
            Some(decay) => Weights::Ema { decay, bias_corrected: true },
            None => Weights::Unknown,
        }
    }

    /// How it is asked for images, on these levels and with labels by this rule.
    pub(crate) fn making(&self, grid: &NoiseGrid, rule: &LabelRule) -> Result<Making> {
        let ModelCard { model, schedule, clip, .. } = self.card;
        let mut levels = Vec::new();
        for i in 0..=grid.steps() {
            let level = grid.level(i)?;
            levels.extend([level.alpha, level.sigma].map(f64::to_le_bytes).concat());
        }
        Ok(Making {
            network: Digest::of(&serde_json::to_vec(&model.network)?),
            prediction: words(&model.prediction)?,
            schedule: words(schedule)?,
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
pub(crate) fn digest_of(flat: &Tensor) -> Result<Digest> {
    Ok(Digest::of(&raw_bytes(flat)?))
}
