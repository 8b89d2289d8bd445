//! A network of EDM behind its preconditioner.

use fewstep_torch::{Kind, LayoutBuilder, Params, Tensor};

use crate::conditions::Conditions;
use crate::edm::adm::AdmUnet;
use crate::edm::config::{AdmConfig, SongConfig};
use crate::edm::precond::{Columns, Preconditioning};
use crate::edm::song::SongUnet;
use crate::error::{Error, Result};
use crate::levels::Levels;

/// Prefix of all names but the preconditioner's own.
const PREFIX: &str = "model";

/// `D(x; sigma)`: a SongUNet or an ADM U-Net with its preconditioner.
#[derive(Clone, Debug)]
pub struct EdmNetwork {
    unet: Unet,
    preconditioning: Preconditioning,
    /// `[C, H, W]`.
    image: [i64; 3],
    n_classes: i64,
    augment_dim: i64,
}

#[derive(Clone, Debug)]
enum Unet {
    Song(Box<SongUnet>),
    Adm(Box<AdmUnet>),
}

impl EdmNetwork {
    /// A SongUNet; adds its tensors to `b`.
    ///
    /// # Errors
    /// A description that cannot be built.
    pub fn song(b: &mut LayoutBuilder, c: &SongConfig) -> Result<Self> {
        let unet = b.scope(PREFIX, |b| SongUnet::new(b, c, c.preconditioner.heads()))?;
        Ok(Self {
            unet: Unet::Song(Box::new(unet)),
            preconditioning: Preconditioning::new(b, c.preconditioner)?,
            image: [c.image_channels, c.resolution, c.resolution],
            n_classes: c.n_classes,
            augment_dim: c.augment_dim,
        })
    }

    /// An ADM U-Net; adds its tensors to `b`.
    ///
    /// # Errors
    /// A description that cannot be built.
    pub fn adm(b: &mut LayoutBuilder, c: &AdmConfig) -> Result<Self> {
        let unet = b.scope(PREFIX, |b| AdmUnet::new(b, c, c.preconditioner.heads()))?;
        Ok(Self {
            unet: Unet::Adm(Box::new(unet)),
            preconditioning: Preconditioning::new(b, c.preconditioner)?,
            image: [c.image_channels, c.resolution, c.resolution],
            n_classes: c.n_classes,
            augment_dim: c.augment_dim,
        })
    }

    /// The denoised images. States of any scale are brought to the variance exploding form, `x / alpha` at noise
    /// `sigma / alpha`; at no noise the answer is the state.
    ///
    /// # Shapes
    /// `x_t` f64 `[B, C, H, W]` at levels `at`; result f64 `[B, C, H, W]`. For the conditions see [`Conditions`].
    ///
    /// # Errors
    /// Shapes that do not fit, or a label out of range.
    pub fn denoise(&self, p: &Params, x_t: &Tensor, at: &Levels, given: Conditions<'_>) -> Result<Tensor> {
        self.check_input(x_t, at)?;
        let x = if at.iter().all(|l| l.alpha == 1.0) {
            x_t.shallow_clone()
        } else {
            x_t.f_div(&at.column(x_t.device(), |l| l.alpha)?)?
        };
        let c = self.preconditioning.columns(p, at)?;
        let out = self.unet(p, &x, &c, given)?;
        // A second head, where there is one, is not part of the answer.
        let image = out.f_narrow(1, 0, self.image[0])?.f_to_kind(Kind::Double)?;
        Ok(x.f_mul(&c.c_skip)?.f_add(&image.f_mul(&c.c_out)?)?)
    }

    /// What the network itself puts out, `F(c_in x, c_noise)`.
    ///
    /// # Shapes
    /// `x` `[B, C, H, W]` in variance exploding scale; result `[B, heads C, H, W]`, of the parameters' kind.
    ///
    /// # Errors
    /// Shapes that do not fit, or a label out of range.
    pub fn forward(&self, p: &Params, x: &Tensor, at: &Levels, given: Conditions<'_>) -> Result<Tensor> {
        self.check_input(x, at)?;
        self.unet(p, x, &self.preconditioning.columns(p, at)?, given)
    }

    fn unet(&self, p: &Params, x: &Tensor, c: &Columns, given: Conditions<'_>) -> Result<Tensor> {
        let vectors = given.vectors(p, x.size()[0], self.n_classes, self.augment_dim)?;
        let scaled = x.f_mul(&c.c_in)?.f_to_kind(p.kind())?;
        match &self.unet {
            Unet::Song(unet) => unet.forward(p, &scaled, &c.c_noise, &vectors),
            Unet::Adm(unet) => unet.forward(p, &scaled, &c.c_noise, &vectors),
        }
    }

    fn check_input(&self, x: &Tensor, at: &Levels) -> Result<()> {
        let [c, h, w] = self.image;
        if x.size() == [at.len() as i64, c, h, w] {
            return Ok(());
        }
        let expected = format!("[{}, {c}, {h}, {w}] (batch, channels, height, width)", at.len());
        Err(Error::Input { what: "image batch", expected, got: x.size() })
    }
}
