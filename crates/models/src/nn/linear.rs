//! Fully connected layer.

use fewstep_torch::{LayoutBuilder, ParamId, Params, Tensor};

use crate::error::Result;
use crate::nn::LayerInit;

/// `x W^T + b`, or `x W^T`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: ParamId,
    bias: Option<ParamId>,
}

impl Linear {
    /// A layer from `n_in` to `n_out` features with bias, initialised as DDPM's (uniform by the average of fan-in and
    /// fan-out).
    ///
    /// # Errors
    /// A name that is taken.
    pub fn new(b: &mut LayoutBuilder, name: &str, n_in: i64, n_out: i64) -> Result<Self> {
        Self::with_init(b, name, n_in, n_out, LayerInit::xavier(1.0))
    }

    /// The same with another start.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn with_init(
        b: &mut LayoutBuilder,
        name: &str,
        n_in: i64,
        n_out: i64,
        init: LayerInit,
    ) -> Result<Self> {
        let mut layer = Self::without_bias(b, name, n_in, n_out, init)?;
        layer.bias = Some(b.scope(name, |b| b.param("bias", &[n_out], init.biases(n_in, n_out)))?);
        Ok(layer)
    }

    /// The same without bias.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn without_bias(
        b: &mut LayoutBuilder,
        name: &str,
        n_in: i64,
        n_out: i64,
        init: LayerInit,
    ) -> Result<Self> {
        let weight = b.scope(name, |b| b.param("weight", &[n_out, n_in], init.weights(n_in, n_out)))?;
        Ok(Self { weight, bias: None })
    }

    /// # Shapes
    /// `[B, n_in] -> [B, n_out]`.
    ///
    /// # Errors
    /// Features that do not fit.
    pub fn forward(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_linear(&p[self.weight], self.bias.map(|id| &p[id]))?)
    }
}
