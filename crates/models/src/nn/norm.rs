//! Group normalisation (arXiv 1803.08494).

use fewstep_torch::{self as torch, Init, LayoutBuilder, ParamId, Params, Tensor};

use crate::error::Result;
use crate::nn::Activation;

/// How many groups a norm has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// This many; they must divide the channels.
    Fixed(i64),
    /// The most that divide the channels, up to this many.
    AtMost(i64),
}

impl Groups {
    /// Groups over `channels` channels.
    pub fn of(self, channels: i64) -> i64 {
        match self {
            Self::Fixed(n) => n,
            Self::AtMost(n) => (1..=n).rev().find(|g| channels % g == 0).unwrap_or(1),
        }
    }
}

/// Normalises groups of channels to zero mean and unit variance, then scales and shifts every channel.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    weight: ParamId,
    bias: ParamId,
    groups: i64,
    eps: f64,
}

impl GroupNorm {
    /// `groups` groups over `channels` channels; the caller has made sure that they divide.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn new(b: &mut LayoutBuilder, name: &str, channels: i64, groups: i64, eps: f64) -> Result<Self> {
        let (weight, bias) = b.scope(name, |b| -> Result<_> {
            let weight = b.param("weight", &[channels], Init::Ones)?;
            Ok((weight, b.param("bias", &[channels], Init::Zeros)?))
        })?;
        Ok(Self { weight, bias, groups, eps })
    }

    /// # Shapes
    /// `[B, C, H, W]` to the same.
    ///
    /// # Errors
    /// Channels that do not fit.
    pub fn forward(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        self.forward_within(p, x, Around::default())
    }

    /// The norm with what stands around it, in as few passes over the image as there are.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to the same.
    ///
    /// # Errors
    /// Channels that do not fit.
    pub fn forward_within(&self, p: &Params, x: &Tensor, around: Around<'_>) -> Result<Tensor> {
        let Around { before, scale_shift, activation } = around;
        let silu = activation == Some(Activation::Silu);
        let (groups, eps) = (self.groups, self.eps);
        let (weight, bias) = (p.wide(self.weight), p.wide(self.bias));
        let norm = torch::GroupNorm { groups, eps, weight, bias, before, scale_shift, silu };
        let h = norm.apply(x)?;
        match activation {
            Some(activation) if !silu => activation.apply(&h),
            _ => Ok(h),
        }
    }
}

/// What stands around a norm: `activation(norm(x + before) (1 + scale) + shift)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// Added to every channel of every image, `[B, C]`.
    pub before: Option<&'a Tensor>,
    /// Scale, then shift, of every channel of every image, `[B, 2 C]`.
    pub scale_shift: Option<&'a Tensor>,
    /// The nonlinearity.
    pub activation: Option<Activation>,
}

impl From<Activation> for Around<'_> {
    /// The nonlinearity alone.
    fn from(activation: Activation) -> Self {
        Self { activation: Some(activation), ..Self::default() }
    }
}
