//! A network together with what it predicts, and its denoiser.

use std::sync::Arc;

use fewstep_torch::{Kind, Layout, LayoutBuilder, Params, Tensor};
use serde::{Deserialize, Serialize};

use crate::conditions::Conditions;
use crate::ddpm::{DdpmConfig, DdpmUnet};
use crate::denoiser::{Denoiser, check_batch};
use crate::edm::{AdmConfig, EdmNetwork, SongConfig};
use crate::error::{Error, Result};
use crate::levels::Levels;
use crate::nn::Dropout;
use crate::prediction::Prediction;

/// Description of a network's architecture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Architecture {
    /// [`crate::ddpm`]; what it predicts is the model's `prediction`.
    DdpmUnet(DdpmConfig),
    /// [`crate::edm`]: NCSN++ and DDPM++, with a preconditioner.
    SongUnet(SongConfig),
    /// [`crate::edm`]: ADM, with a preconditioner.
    AdmUnet(AdmConfig),
}

impl Architecture {
    /// Its `kind` in a description.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DdpmUnet(_) => "ddpm_unet",
            Self::SongUnet(_) => "song_unet",
            Self::AdmUnet(_) => "adm_unet",
        }
    }
}

/// Description of a model: architecture and prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The network.
    pub network: Architecture,
    /// What a DDPM network predicts. EDM's networks have a preconditioner instead, behind which they answer with the clean
    /// image: any other prediction is refused for them.
    #[serde(default)]
    pub prediction: Prediction,
}

impl ModelConfig {
    /// Shape `[C, H, W]` of the images.
    pub fn image_shape(&self) -> [i64; 3] {
        let (channels, resolution) = match &self.network {
            Architecture::DdpmUnet(c) => (c.image_channels, c.resolution),
            Architecture::SongUnet(c) => (c.image_channels, c.resolution),
            Architecture::AdmUnet(c) => (c.image_channels, c.resolution),
        };
        [channels, resolution, resolution]
    }

    /// Number of classes; 0: unconditional.
    pub fn n_classes(&self) -> i64 {
        match &self.network {
            Architecture::DdpmUnet(c) => c.n_classes,
            Architecture::SongUnet(c) => c.n_classes,
            Architecture::AdmUnet(c) => c.n_classes,
        }
    }

    fn check_prediction(&self) -> Result<()> {
        if matches!(self.network, Architecture::DdpmUnet(_)) || self.prediction == Prediction::X0 {
            return Ok(());
        }
        let problem = format!(
            "{:?} does not go with network `{}`, whose preconditioner decides what it predicts: leave it out",
            self.prediction,
            self.network.kind()
        );
        Err(Error::Config { key: "prediction", problem })
    }
}

#[derive(Clone, Debug)]
enum Network {
    Ddpm(Box<DdpmUnet>),
    Edm(Box<EdmNetwork>),
}

/// A network ready to be evaluated over any [`Params`] of its layout.
#[derive(Clone, Debug)]
pub struct Model {
    config: ModelConfig,
    layout: Arc<Layout>,
    network: Network,
}

impl Model {
    /// Builds the network.
    ///
    /// # Errors
    /// A description that cannot be built; the key is named.
    pub fn new(config: ModelConfig) -> Result<Self> {
        config.check_prediction()?;
        let mut b = LayoutBuilder::new();
        let network = match &config.network {
            Architecture::DdpmUnet(c) => {
                Network::Ddpm(Box::new(DdpmUnet::new(&mut b, c, config.prediction.heads())?))
            }
            Architecture::SongUnet(c) => Network::Edm(Box::new(EdmNetwork::song(&mut b, c)?)),
            Architecture::AdmUnet(c) => Network::Edm(Box::new(EdmNetwork::adm(&mut b, c)?)),
        };
        Ok(Self { config, layout: Arc::new(b.build()), network })
    }

    /// Its description.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Its parameter table.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Number of parameters. The flat buffer may be longer by a few constants: see [`Layout::total`].
    pub fn n_params(&self) -> usize {
        self.layout.n_trained()
    }

    /// The raw output of the network, in its own scale: see [`DdpmUnet::forward`] and [`EdmNetwork::forward`].
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, p: &Params, x: &Tensor, at: &Levels, labels: Option<&Tensor>) -> Result<Tensor> {
        let given = Conditions { labels, ..Conditions::default() };
        match &self.network {
            Network::Ddpm(unet) => unet.forward(p, x, at, given),
            Network::Edm(network) => network.forward(p, x, at, given),
        }
    }

    /// The model with these parameters as a denoiser.
    pub fn denoiser<'a>(&'a self, params: &'a Params) -> NetworkDenoiser<'a> {
        NetworkDenoiser { model: self, params, given: Conditions::default() }
    }
}

/// A model over a set of parameters.
#[derive(Clone, Copy, Debug)]
pub struct NetworkDenoiser<'a> {
    model: &'a Model,
    params: &'a Params,
    /// All but the labels, which come with each question.
    given: Conditions<'a>,
}

impl<'a> NetworkDenoiser<'a> {
    /// The same for images whose augmentation is described by `augment`, floating point `[B, augment_dim]`; it is ignored by networks
    /// that know no augmentations.
    #[must_use]
    pub fn with_augment(self, augment: &'a Tensor) -> Self {
        Self { given: Conditions { augment: Some(augment), ..self.given }, ..self }
    }

    /// The same with dropout, as in training.
    #[must_use]
    pub fn with_dropout(self, dropout: &'a Dropout) -> Self {
        Self { given: Conditions { dropout: Some(dropout), ..self.given }, ..self }
    }
}

impl Denoiser for NetworkDenoiser<'_> {
    /// Brings the state to the network's own scale (a division by 1 where it has that scale), asks the network in its parameters' kind and
    /// turns its prediction into `x0_hat` in f64.
    fn denoise(&self, x_t: &Tensor, at: &Levels, labels: Option<&Tensor>) -> Result<Tensor> {
        check_batch(x_t, at)?;
        let given = Conditions { labels, ..self.given };
        match &self.model.network {
            Network::Ddpm(unet) => {
                let (x_t, at) = variance_preserving(x_t, at)?;
                let out = unet.forward(self.params, &x_t.f_to_kind(self.params.kind())?, &at, given)?;
                self.model.config.prediction.x0(&x_t, &out.f_to_kind(Kind::Double)?, &at)
            }
            Network::Edm(network) => network.denoise(self.params, x_t, at, given),
        }
    }
}

/// The states in variance preserving scale, and their levels there.
fn variance_preserving(x_t: &Tensor, at: &Levels) -> Result<(Tensor, Levels)> {
    if at.iter().all(|l| (l.alpha.hypot(l.sigma) - 1.0).abs() <= 1e-9) {
        return Ok((x_t.shallow_clone(), at.clone()));
    }
    let scale = at.column(x_t.device(), |l| l.alpha.hypot(l.sigma))?;
    let levels = at.iter().map(|l| l.variance_preserving()).collect();
    Ok((x_t.f_div(&scale)?, Levels::new(levels)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(network: Architecture, prediction: Prediction) -> Result<Model> {
        Model::new(ModelConfig { network, prediction })
    }

    fn params_of(network: Architecture, prediction: Prediction) -> usize {
        model(network, prediction).unwrap().n_params()
    }

    #[test]
    fn the_published_networks_have_the_published_sizes() {
        use Architecture::{AdmUnet, DdpmUnet, SongUnet};
        assert_eq!(params_of(DdpmUnet(DdpmConfig::cifar10()), Prediction::X0), 60_004_099);
        assert_eq!(params_of(DdpmUnet(DdpmConfig::imagenet64()), Prediction::X0AndEps), 295_905_222);
        // EDM's paper gives 55.7 million for the first of these, and 295.9 million for the last.
        let edm = |network| params_of(network, Prediction::X0);
        let sizes = [
            edm(SongUnet(SongConfig::cifar10_ddpmpp())),
            edm(SongUnet(SongConfig::cifar10_ncsnpp())),
            edm(AdmUnet(AdmConfig::imagenet64())),
        ];
        assert_eq!(sizes, [55_733_891, 56_397_827, 295_899_267]);
    }

    #[test]
    fn a_resolution_that_cannot_be_halved_is_named() {
        let network = Architecture::DdpmUnet(DdpmConfig { resolution: 30, ..DdpmConfig::cifar10() });
        let e = model(network, Prediction::X0).unwrap_err().to_string();
        assert!(e.contains("resolution") && e.contains("30") && e.contains("multiple of 4"), "{e}");
    }

    #[test]
    fn a_prediction_beside_a_preconditioner_is_refused_by_name() {
        let network = Architecture::SongUnet(SongConfig::cifar10_ddpmpp());
        let e = model(network, Prediction::V).unwrap_err().to_string();
        assert!(e.contains("prediction") && e.contains("song_unet"), "{e}");
    }
}
