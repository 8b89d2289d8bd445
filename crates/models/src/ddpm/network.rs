//! A DDPM U-Net with what it predicts.

use std::sync::Arc;

use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Kind, Layout, LayoutBuilder, Params, Tensor};

use serde_json::Value;

use crate::affine::Affine;
use crate::conditions::Conditions;
use crate::ddpm::config::DdpmConfig;
use crate::ddpm::unet::{DdpmUnet, time_of};
use crate::description::{Family, NetworkConfig};
use crate::error::Result;
use crate::levels::Levels;
use crate::network::{Network, described};
use crate::prediction::Prediction;

/// A DDPM U-Net that answers through its [`Prediction`], in variance preserving scale.
#[derive(Clone, Debug)]
pub struct DdpmNetwork {
    config: DdpmConfig,
    prediction: Prediction,
    unet: DdpmUnet,
    layout: Arc<Layout>,
}

impl DdpmNetwork {
    /// Builds the network.
    ///
    /// # Errors
    /// A description that cannot be built; the key is named.
    pub fn new(config: DdpmConfig, prediction: Prediction) -> Result<Self> {
        let mut b = LayoutBuilder::new();
        let unet = DdpmUnet::new(&mut b, &config, prediction.heads())?;
        Ok(Self { config, prediction, unet, layout: Arc::new(b.build()) })
    }

    /// What the U-Net itself puts out: see [`DdpmUnet::forward`].
    ///
    /// # Errors
    /// Those of [`DdpmUnet::forward`].
    pub fn forward(&self, p: &Params, x: &Tensor, at: &Levels, cond: Conditions<'_>) -> Result<Tensor> {
        self.unet.forward(p, x, at, cond)
    }
}

impl Network for DdpmNetwork {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn image_shape(&self) -> [i64; 3] {
        self.config.image_shape()
    }

    fn n_classes(&self) -> i64 {
        self.config.n_classes
    }

    fn denoise(&self, p: &Params, x_t: &Tensor, at: &Levels, cond: Conditions<'_>) -> Result<Tensor> {
        let (x_t, at) = variance_preserving(x_t, at)?;
        let out = self.unet.forward(p, &p.image(&x_t)?, &at, cond)?;
        self.prediction.x0(&x_t, &out.f_to_kind(Kind::Double)?, &at)
    }

    fn affine(&self, _: &Params, at: NoiseLevel) -> Result<Option<Affine>> {
        let scale = at.alpha.hypot(at.sigma);
        let level = at.variance_preserving();
        let (c_skip, c_out) = self.prediction.all_heads(level);
        Ok(Some(Affine { c_in: 1.0 / scale, time: time_of(level), c_skip: c_skip / scale, c_out }))
    }

    fn describe(&self) -> Value {
        described("ddpm_unet", &self.config, self.prediction)
    }
}

impl NetworkConfig for DdpmConfig {
    fn image_shape(&self) -> [i64; 3] {
        [self.image_channels, self.resolution, self.resolution]
    }

    fn n_classes(&self) -> i64 {
        self.n_classes
    }

    fn family(&self) -> Family {
        Family::Ddpm
    }

    fn build(&self, prediction: Prediction) -> Result<Arc<dyn Network>> {
        Ok(Arc::new(DdpmNetwork::new(self.clone(), prediction)?))
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
