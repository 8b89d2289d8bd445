//! Fully connected layer.

use fewstep_torch::{Init, LayoutBuilder, ParamId, Params, Tensor};

use crate::error::Result;

/// `x W^T + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: ParamId,
    bias: ParamId,
}

impl Linear {
    /// A layer from `n_in` to `n_out` features, initialised as DDPM's (uniform by the average of fan-in and fan-out).
    ///
    /// # Errors
    /// A name that is taken.
    pub fn new(b: &mut LayoutBuilder, name: &str, n_in: i64, n_out: i64) -> Result<Self> {
        let bound = (6.0 / (n_in + n_out) as f64).sqrt();
        let (weight, bias) = b.scope(name, |b| -> Result<_> {
            let weight = b.param("weight", &[n_out, n_in], Init::Uniform(bound))?;
            Ok((weight, b.param("bias", &[n_out], Init::Zeros)?))
        })?;
        Ok(Self { weight, bias })
    }

    /// # Shapes
    /// `[B, n_in] -> [B, n_out]`.
    ///
    /// # Errors
    /// Features that do not fit.
    pub fn forward(&self, p: &Params, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_linear(&p[self.weight], Some(&p[self.bias]))?)
    }
}
