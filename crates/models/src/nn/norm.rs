//! Group normalisation (arXiv 1803.08494).

use fewstep_torch::{Init, LayoutBuilder, ParamId, Params, Tensor};

use crate::error::Result;

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
        Ok(x.f_group_norm(self.groups, Some(&p[self.weight]), Some(&p[self.bias]), self.eps, false)?)
    }
}
