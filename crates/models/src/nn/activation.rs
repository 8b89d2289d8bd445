//! Nonlinearities.

use fewstep_torch::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// A function of every value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x sigmoid(x)`, also called swish (arXiv 1702.03118).
    #[default]
    Silu,
    /// `x Phi(x)` with the normal distribution function (arXiv 1606.08415), not its approximation by `tanh`.
    Gelu,
    /// `x tanh(ln(1 + exp(x)))` (arXiv 1908.08681).
    Mish,
    /// `max(x, 0)`.
    Relu,
}

impl Activation {
    /// The function of every value of `x`.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Silu => x.f_silu()?,
            Self::Gelu => x.f_gelu("none")?,
            Self::Mish => x.f_mish()?,
            Self::Relu => x.f_relu()?,
        })
    }
}
