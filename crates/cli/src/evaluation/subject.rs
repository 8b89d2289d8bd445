//! A model that is measured.

use std::fmt::Display;

use anyhow::{Result, bail};
use fewstep_eval::{Digest, Weights};
use fewstep_models::Model;
use fewstep_torch::{Tensor, raw_bytes};
use fewstep_train::{ModelCard, ModelFile};

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
}

/// Passes when the model, called `what`, has the class that `--class` asks for.
pub(crate) fn check_class(class: Option<i64>, card: &ModelCard, what: impl Display) -> Result<()> {
    let classes = card.model.n_classes();
    match class.filter(|c| !(0..classes.max(0)).contains(c)) {
        Some(class) => bail!("--class {class}: {what} has {classes} classes"),
        None => Ok(()),
    }
}

/// Digest of the parameters' bytes.
pub(crate) fn digest_of(flat: &Tensor) -> Result<Digest> {
    Ok(Digest::of(&raw_bytes(flat)?))
}
