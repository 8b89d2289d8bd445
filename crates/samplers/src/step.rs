//! The DDIM step and its inverse on batches.

use fewstep_models::{Levels, columns};
use fewstep_schedules::DdimStep;
use fewstep_torch::{Device, Tensor};

use crate::error::{Error, Result};

/// Coefficients of one deterministic step for every sample of a batch: `x_s = a x_t + b x0_hat`.
///
/// A sample whose two levels are equal does not move (`a = 1`, `b = 0`); its inverse is not defined.
#[derive(Debug)]
pub struct Step {
    /// `a`, f64 `[B, 1, 1, 1]`.
    a: Tensor,
    /// `b`, f64 `[B, 1, 1, 1]`.
    b: Tensor,
}

impl Step {
    /// The step from `from` to `to`, sample by sample.
    ///
    /// # Errors
    /// Not as many levels in `to` as in `from`, or a sample for which `to` is noisier than `from`.
    pub fn between(from: &Levels, to: &Levels, device: Device) -> Result<Self> {
        if from.len() != to.len() {
            return Err(Error::Levels { from: from.len(), to: to.len() });
        }
        let mut coefficients = Vec::with_capacity(from.len());
        for (from, to) in from.iter().zip(to.iter()) {
            let stay = DdimStep { a: 1.0, b: 0.0 };
            coefficients.push(if from == to { stay } else { DdimStep::new(from, to)? });
        }
        let [a, b] = columns(device, coefficients.iter().map(|c| [c.a, c.b]))?;
        Ok(Self { a, b })
    }

    /// Where the step lands.
    ///
    /// # Shapes
    /// `x_t`, `x0_hat` and the result are f64 `[B, C, H, W]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn apply(&self, x_t: &Tensor, x0_hat: &Tensor) -> Result<Tensor> {
        Ok(x_t.f_mul(&self.a)?.f_add(&x0_hat.f_mul(&self.b)?)?)
    }

    /// The `x0_hat` for which the step from `x_t` lands on `x_s`: the inverse step of arXiv 2303.04248, section 2.
    ///
    /// # Shapes
    /// `x_t`, `x_s` and the result are f64 `[B, C, H, W]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn x0_that_lands_on(&self, x_t: &Tensor, x_s: &Tensor) -> Result<Tensor> {
        Ok(x_s.f_sub(&x_t.f_mul(&self.a)?)?.f_div(&self.b)?)
    }
}

/// The forward process: `x_t = alpha x0 + sigma noise`, sample by sample.
///
/// # Shapes
/// `x0`, `noise` and the result are f64 `[B, C, H, W]`.
///
/// # Errors
/// Shapes that do not fit.
pub fn diffuse(x0: &Tensor, noise: &Tensor, at: &Levels) -> Result<Tensor> {
    let [alpha, sigma] = at.columns(x0.device(), |l| [l.alpha, l.sigma])?;
    Ok(x0.f_mul(&alpha)?.f_add(&noise.f_mul(&sigma)?)?)
}
