//! How a denoiser's answers become one step: the teacher's step in sampling and in distillation targets.
//!
//! A solver gives the `x0` for which one DDIM [`Step`] lands where the solver lands. The step itself, and its inverse, stay
//! in one place, and a target that is the teacher's own step needs no inverse at all.

use fewstep_models::{Denoiser, Levels, column};
use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Kind, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::step::Step;

/// Integrator of the probability-flow ODE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Solver {
    /// DDIM (arXiv 2010.02502), which is Euler's method in variance exploding scale: order 1, one evaluation.
    #[default]
    Ddim,
    /// Heun's method (arXiv 2206.00364, algorithm 1): order 2, two evaluations; Euler's where the step ends at no noise, or
    /// starts at noise alone.
    Heun,
}

impl Solver {
    /// The `x0` whose step from `from` to `to` is this solver's step.
    ///
    /// With `f_t`, `f_s` the denoiser's answers at both ends of the Euler step and `sigma` in variance exploding scale, the
    /// average of both slopes `(x - f) / sigma` is the slope to
    ///
    /// ```text
    /// x0 = f_t + (f_s - f_t) sigma_t / (2 sigma_s)
    /// ```
    ///
    /// Every sample has its own two levels. From noise alone, `sigma_t` is infinite, and no average of two slopes covers the
    /// step: it is Euler's, like the one to no noise.
    ///
    /// # Shapes
    /// `x_t` and the result f64 `[B, C, H, W]`.
    ///
    /// # Errors
    /// The denoiser fails, or `to` is noisier than `from` for a sample.
    pub fn x0(self, denoiser: &dyn Denoiser, x_t: &Tensor, from: &Levels, to: &Levels) -> Result<Tensor> {
        let first = denoiser.denoise(x_t, from)?;
        let heuns: Vec<bool> =
            from.iter().zip(to.iter()).map(|(t, s)| t.alpha > 0.0 && s.sigma > 0.0).collect();
        if self == Self::Ddim || !heuns.contains(&true) {
            return Ok(first);
        }
        let device = x_t.device();
        let x_s = Step::between(from, to, device)?.apply(x_t, &first)?;
        let second = denoiser.denoise(&x_s, to)?;
        let chosen = Tensor::f_from_slice(&heuns)?.f_to_kind(Kind::Bool)?.f_view([-1, 1, 1, 1])?;
        // Chosen, not multiplied by 0: at no noise a denoiser may answer anything.
        let second = second.f_where_self(&chosen.f_to_device(device)?, &first)?;
        let ends = from.iter().zip(to.iter()).zip(&heuns);
        let weights = ends.map(|((t, s), &heuns)| if heuns { half_ratio(t, s) } else { 0.0 });
        let weights = column(device, weights)?;
        Ok(second.f_sub(&first)?.f_mul(&weights)?.f_add(&first)?)
    }

    /// Where the step from `from` to `to` lands.
    ///
    /// # Shapes
    /// `x_t` and the result f64 `[B, C, H, W]`.
    ///
    /// # Errors
    /// Those of [`Solver::x0`].
    pub fn step(self, denoiser: &dyn Denoiser, x_t: &Tensor, from: &Levels, to: &Levels) -> Result<Tensor> {
        let x0 = self.x0(denoiser, x_t, from, to)?;
        Step::between(from, to, x_t.device())?.apply(x_t, &x0)
    }
}

/// `sigma_t / (2 sigma_s)` in variance exploding scale.
fn half_ratio(t: NoiseLevel, s: NoiseLevel) -> f64 {
    0.5 * t.sigma * s.alpha / (t.alpha * s.sigma)
}
