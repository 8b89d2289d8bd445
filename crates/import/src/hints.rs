//! Properties of a network that the file does not determine, given by the user.

use std::fmt::Debug;

use fewstep_models::Prediction;
use fewstep_models::ddpm::Heads;
use fewstep_models::edm::Preconditioner;

use crate::error::{Error, Result};
use crate::trained_as::TrainedAs;

/// Properties of a network that names and shapes may not determine. A hint that contradicts the file is an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    /// Which of several networks in the file: its keys, joined by dots.
    pub entry: Option<String>,
    /// Height and width of the images. A U-Net has the same tensors at every resolution.
    pub resolution: Option<i64>,
    /// Attention heads of a U-Net, which PyTorch's layout does not determine.
    pub heads: Option<Heads>,
    /// What a U-Net predicts. Needed for a DDPM U-Net if its output has as many channels as the image.
    pub prediction: Option<Prediction>,
    /// Preconditioner of an EDM network. Needed if the file is not EDM's own pickle.
    pub preconditioner: Option<Preconditioner>,
    /// Taps of a SongUNet's resampling filter. Needed if the file was saved without buffers.
    pub resample_filter: Option<Vec<f64>>,
    /// The order of attention's rows in a network of guided-diffusion. Needed if there is more than one head, except for
    /// consistency models' code, which has one order only.
    pub attention_order: Option<AttentionOrder>,
    /// What a network of guided-diffusion was trained as, or one of denoising_diffusion_pytorch. Needed, except for consistency
    /// models' code, and where the file has the tables of the diffusion.
    pub trained_as: Option<TrainedAs>,
}

/// The order of the rows of `qkv` in guided-diffusion's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttentionOrder {
    /// The queries, keys and values of the first head, then those of the next: the code's default, the only order of
    /// improved-diffusion, and torchcfm's default.
    Legacy,
    /// The queries of all heads, then all keys, then all values: `use_new_attention_order`.
    New,
}

impl Hints {
    /// Refuses the hints that only EDM's networks have, for `network`.
    pub(crate) fn refuse_those_of_edm(&self, network: &str) -> Result<()> {
        refuse("preconditioner", self.preconditioner.as_ref(), network)?;
        refuse("resample_filter", self.resample_filter.as_ref(), network)
    }

    /// Refuses the hints that only guided-diffusion's networks have, for `network`.
    pub(crate) fn refuse_those_of_guided(&self, network: &str) -> Result<()> {
        self.refuse_order(network)?;
        refuse("trained_as", self.trained_as.as_ref(), network)
    }

    /// Refuses the order of attention's rows, for `network`.
    pub(crate) fn refuse_order(&self, network: &str) -> Result<()> {
        refuse("attention_order", self.attention_order.as_ref(), network)
    }
}

fn refuse<T: Debug>(key: &str, hint: Option<&T>, network: &str) -> Result<()> {
    let Some(hint) = hint else { return Ok(()) };
    Err(Error::Contradiction {
        key: key.to_owned(),
        said_by: "the request",
        said: format!("{hint:?}"),
        found: format!("the file holds {network}, which has none"),
    })
}
