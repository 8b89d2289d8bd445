//! A network of EDM behind its preconditioner.

use std::sync::Arc;

use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Kind, Layout, LayoutBuilder, Params, Tensor};
use serde_json::Value;

use crate::affine::Affine;
use crate::coefficients::Columns;
use crate::conditions::Conditions;
use crate::description::{Family, NetworkConfig, no_prediction};
use crate::edm::adm::AdmUnet;
use crate::edm::config::{AdmConfig, SongConfig};
use crate::edm::precond::{Preconditioner, Preconditioning};
use crate::edm::song::SongUnet;
use crate::error::{Error, Result};
use crate::levels::Levels;
use crate::network::{Network, described};
use crate::prediction::Prediction;

/// Prefix of all names but the preconditioner's own.
const PREFIX: &str = "model";

/// `D(x; sigma)`: a SongUNet or an ADM U-Net with its preconditioner.
#[derive(Clone, Debug)]
pub struct EdmNetwork {
    unet: Unet,
    preconditioning: Preconditioning,
    layout: Arc<Layout>,
}

#[derive(Clone, Debug)]
enum Unet {
    Song(Box<SongUnet>, SongConfig),
    Adm(Box<AdmUnet>, AdmConfig),
}

impl EdmNetwork {
    /// A SongUNet.
    ///
    /// # Errors
    /// A description that cannot be built; the key is named.
    pub fn song(config: SongConfig) -> Result<Self> {
        let preconditioner = config.preconditioner;
        Self::new(preconditioner, |b| {
            let unet = SongUnet::new(b, &config, preconditioner.heads())?;
            Ok(Unet::Song(Box::new(unet), config))
        })
    }

    /// An ADM U-Net.
    ///
    /// # Errors
    /// A description that cannot be built; the key is named.
    pub fn adm(config: AdmConfig) -> Result<Self> {
        let preconditioner = config.preconditioner;
        Self::new(preconditioner, |b| {
            let unet = AdmUnet::new(b, &config, preconditioner.heads())?;
            Ok(Unet::Adm(Box::new(unet), config))
        })
    }

    fn new(
        preconditioner: Preconditioner,
        unet: impl FnOnce(&mut LayoutBuilder) -> Result<Unet>,
    ) -> Result<Self> {
        let mut b = LayoutBuilder::new();
        let unet = b.scope(PREFIX, unet)?;
        let preconditioning = Preconditioning::new(&mut b, preconditioner)?;
        Ok(Self { unet, preconditioning, layout: Arc::new(b.build()) })
    }

    fn config(&self) -> &dyn NetworkConfig {
        match &self.unet {
            Unet::Song(_, config) => config,
            Unet::Adm(_, config) => config,
        }
    }

    /// What the network itself puts out, `F(c_in x, c_noise)`.
    ///
    /// # Shapes
    /// `x` `[B, C, H, W]` in variance exploding scale; result `[B, heads C, H, W]`, of the parameters' kind.
    ///
    /// # Errors
    /// Shapes that do not fit, or a label out of range.
    pub fn forward(&self, p: &Params, x: &Tensor, at: &Levels, cond: Conditions<'_>) -> Result<Tensor> {
        self.check_input(x, at)?;
        self.unet(p, x, &self.preconditioning.columns(p, at)?, cond)
    }

    fn unet(&self, p: &Params, x: &Tensor, c: &Columns, cond: Conditions<'_>) -> Result<Tensor> {
        let augment_dim = match &self.unet {
            Unet::Song(_, config) => config.augment_dim,
            Unet::Adm(_, config) => config.augment_dim,
        };
        let vectors = cond.vectors(p, x.size()[0], self.config().n_classes(), augment_dim)?;
        let scaled = p.image(&x.f_mul(&c.c_in)?)?;
        match &self.unet {
            Unet::Song(unet, _) => unet.forward(p, &scaled, &c.time, &vectors),
            Unet::Adm(unet, _) => unet.forward(p, &scaled, &c.time, &vectors),
        }
    }

    fn check_input(&self, x: &Tensor, at: &Levels) -> Result<()> {
        let [c, h, w] = self.config().image_shape();
        if x.size() == [at.len() as i64, c, h, w] {
            return Ok(());
        }
        let expected = format!("[{}, {c}, {h}, {w}] (batch, channels, height, width)", at.len());
        Err(Error::Input { what: "image batch", expected, got: x.size() })
    }
}

impl Network for EdmNetwork {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn image_shape(&self) -> [i64; 3] {
        self.config().image_shape()
    }

    fn n_classes(&self) -> i64 {
        self.config().n_classes()
    }

    /// States of any scale are brought to the variance exploding form, `x / alpha` at noise `sigma / alpha`; at no noise
    /// the answer is the state.
    fn denoise(&self, p: &Params, x_t: &Tensor, at: &Levels, cond: Conditions<'_>) -> Result<Tensor> {
        self.check_input(x_t, at)?;
        let x = if at.iter().all(|l| l.alpha == 1.0) {
            x_t.shallow_clone()
        } else {
            x_t.f_div(&at.column(x_t.device(), |l| l.alpha)?)?
        };
        let c = self.preconditioning.columns(p, at)?;
        let out = self.unet(p, &x, &c, cond)?;
        // A second head, where there is one, is not part of the answer.
        let image = out.f_narrow(1, 0, self.image_shape()[0])?.f_to_kind(Kind::Double)?;
        c.answer(&x, &image)
    }

    fn affine(&self, p: &Params, at: NoiseLevel) -> Result<Option<Affine>> {
        let mut affine = Affine::from(self.preconditioning.at(p, at)?);
        affine.c_in /= at.alpha;
        affine.c_skip /= at.alpha;
        affine.c_out.resize(self.preconditioning.heads() as usize, 0.0);
        Ok(Some(affine))
    }

    fn describe(&self) -> Value {
        match &self.unet {
            Unet::Song(_, config) => described("song_unet", config, Prediction::X0),
            Unet::Adm(_, config) => described("adm_unet", config, Prediction::X0),
        }
    }
}

impl NetworkConfig for SongConfig {
    fn image_shape(&self) -> [i64; 3] {
        [self.image_channels, self.resolution, self.resolution]
    }

    fn n_classes(&self) -> i64 {
        self.n_classes
    }

    fn family(&self) -> Family {
        self.preconditioner.family()
    }

    fn build(&self, prediction: Prediction) -> Result<Arc<dyn Network>> {
        no_prediction("song_unet", prediction)?;
        Ok(Arc::new(EdmNetwork::song(self.clone())?))
    }
}

impl NetworkConfig for AdmConfig {
    fn image_shape(&self) -> [i64; 3] {
        [self.image_channels, self.resolution, self.resolution]
    }

    fn n_classes(&self) -> i64 {
        self.n_classes
    }

    fn family(&self) -> Family {
        self.preconditioner.family()
    }

    fn build(&self, prediction: Prediction) -> Result<Arc<dyn Network>> {
        no_prediction("adm_unet", prediction)?;
        Ok(Arc::new(EdmNetwork::adm(self.clone())?))
    }
}
