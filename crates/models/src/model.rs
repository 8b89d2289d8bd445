//! A network together with what it predicts, and its denoiser.

use std::sync::Arc;

use fewstep_torch::{Kind, Layout, LayoutBuilder, Params, Tensor};
use serde::{Deserialize, Serialize};

use crate::ddpm::{DdpmConfig, DdpmUnet};
use crate::denoiser::{Denoiser, check_batch};
use crate::error::Result;
use crate::levels::Levels;
use crate::prediction::Prediction;

/// Description of a network's architecture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Architecture {
    /// [`crate::ddpm`].
    DdpmUnet(DdpmConfig),
}

/// Description of a model: architecture and prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The network.
    pub network: Architecture,
    /// What it predicts.
    #[serde(default)]
    pub prediction: Prediction,
}

impl ModelConfig {
    /// Shape `[C, H, W]` of the images.
    pub fn image_shape(&self) -> [i64; 3] {
        let Architecture::DdpmUnet(c) = &self.network;
        [c.image_channels, c.resolution, c.resolution]
    }

    /// Number of classes; 0: unconditional.
    pub fn n_classes(&self) -> i64 {
        let Architecture::DdpmUnet(c) = &self.network;
        c.n_classes
    }
}

/// A network ready to be evaluated over any [`Params`] of its layout.
#[derive(Clone, Debug)]
pub struct Model {
    config: ModelConfig,
    layout: Arc<Layout>,
    network: DdpmUnet,
}

impl Model {
    /// Builds the network.
    ///
    /// # Errors
    /// A description that cannot be built; the key is named.
    pub fn new(config: ModelConfig) -> Result<Self> {
        let mut builder = LayoutBuilder::new();
        let Architecture::DdpmUnet(c) = &config.network;
        let network = DdpmUnet::new(&mut builder, c, config.prediction.heads())?;
        Ok(Self { config, layout: Arc::new(builder.build()), network })
    }

    /// Its description.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Its parameter table.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Number of parameters.
    pub fn n_params(&self) -> usize {
        self.layout.total()
    }

    /// The raw output of the network; see [`DdpmUnet::forward`].
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, p: &Params, x: &Tensor, at: &Levels, labels: Option<&Tensor>) -> Result<Tensor> {
        self.network.forward(p, x, at, labels)
    }

    /// The model with these parameters as a denoiser.
    pub fn denoiser<'a>(&'a self, params: &'a Params) -> NetworkDenoiser<'a> {
        NetworkDenoiser { model: self, params }
    }
}

/// A model over a set of parameters.
#[derive(Clone, Copy, Debug)]
pub struct NetworkDenoiser<'a> {
    model: &'a Model,
    params: &'a Params,
}

impl Denoiser for NetworkDenoiser<'_> {
    /// Brings the state to variance preserving scale (a division by 1 for VP schedules), asks the network in f32 and turns
    /// its prediction into `x0_hat` in f64.
    fn denoise(&self, x_t: &Tensor, at: &Levels, labels: Option<&Tensor>) -> Result<Tensor> {
        check_batch(x_t, at)?;
        let exploding = at.iter().any(|l| (l.alpha.hypot(l.sigma) - 1.0).abs() > 1e-9);
        let (x_t, at) = if exploding {
            let scale = at.column(x_t.device(), |l| l.alpha.hypot(l.sigma))?;
            (x_t.f_div(&scale)?, Levels::new(at.iter().map(|l| l.variance_preserving()).collect()))
        } else {
            (x_t.shallow_clone(), at.clone())
        };
        let out = self.model.forward(self.params, &x_t.f_to_kind(Kind::Float)?, &at, labels)?;
        self.model.config.prediction.x0(&x_t, &out.f_to_kind(Kind::Double)?, &at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params_of(network: DdpmConfig, prediction: Prediction) -> usize {
        let config = ModelConfig { network: Architecture::DdpmUnet(network), prediction };
        Model::new(config).unwrap().n_params()
    }

    #[test]
    fn the_published_networks_have_the_published_sizes() {
        assert_eq!(params_of(DdpmConfig::cifar10(), Prediction::X0), 60_004_099);
        assert_eq!(params_of(DdpmConfig::imagenet64(), Prediction::X0AndEps), 295_905_222);
    }

    #[test]
    fn a_resolution_that_cannot_be_halved_is_named() {
        let e = Model::new(ModelConfig {
            network: Architecture::DdpmUnet(DdpmConfig { resolution: 30, ..DdpmConfig::cifar10() }),
            prediction: Prediction::X0,
        })
        .unwrap_err()
        .to_string();
        assert!(e.contains("model.resolution") && e.contains("30") && e.contains("multiple of 4"), "{e}");
    }
}
