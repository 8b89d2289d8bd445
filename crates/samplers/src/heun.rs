//! EDM's sampler (arXiv 2206.00364, algorithms 1 and 2): Heun's method down a grid, with noise added back on request.

use fewstep_models::{Counted, Denoiser, Levels};
use fewstep_random::{Key, Stream};
use fewstep_schedules::{NoiseGrid, NoiseLevel};
use fewstep_torch::{Kind, ScalarOps, Tensor, no_grad};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sample::Sampled;
use crate::solver::Solver;

/// Noise that is added back before steps, so that a sample forgets the errors of earlier ones. The default adds none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Churn {
    /// Strength of the added noise over all steps: each step multiplies sigma by
    /// `1 + min(s_churn / steps, sqrt(2) - 1)`.
    pub s_churn: f64,
    /// Steps from less noise than this add none.
    pub s_min: f64,
    /// Steps from more noise than this add none; absent: no limit.
    pub s_max: Option<f64>,
    /// Standard deviation of the added noise, in units of what the level asks for.
    pub s_noise: f64,
}

impl Default for Churn {
    fn default() -> Self {
        Self { s_churn: 0.0, s_min: 0.0, s_max: None, s_noise: 1.0 }
    }
}

impl Churn {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the one that is out of range.
    pub fn validate(&self) -> Result<()> {
        let s_max = self.s_max.unwrap_or(f64::MAX);
        for (name, got) in
            [("s_churn", self.s_churn), ("s_min", self.s_min), ("s_max", s_max), ("s_noise", self.s_noise)]
        {
            if !(got.is_finite() && got >= 0.0) {
                let expected = "a number >= 0";
                return Err(fewstep_schedules::Error::OutOfRange { name, got, expected }.into());
            }
        }
        Ok(())
    }

    /// The noisier level that a step from `level` starts at, with its signal in the same scale.
    fn raised(&self, level: NoiseLevel, steps: usize) -> NoiseLevel {
        let sigma = level.variance_exploding().sigma;
        if sigma < self.s_min || self.s_max.is_some_and(|limit| sigma > limit) {
            return level;
        }
        let gain = 1.0 + (self.s_churn / steps as f64).min(2f64.sqrt() - 1.0);
        NoiseLevel { sigma: level.sigma * gain, ..level }
    }
}

/// Churn and the seeds of the samples that it is for: the noise of a sample is a function of its seed and the step.
#[derive(Clone, Copy, Debug)]
pub struct ChurnOf<'a> {
    /// How much.
    pub churn: Churn,
    /// One seed per sample.
    pub seeds: &'a [u64],
}

/// Heun's method down a whole grid; without churn it is deterministic. On a grid that ends at no noise the last step is
/// Euler's, and `2 steps - 1` evaluations are made; on one that starts at noise alone the first step is Euler's as well.
///
/// `on_step` is called after each step with the steps done and the steps in all.
///
/// # Shapes
/// `x_t` is the state at the grid's last level, f64 `[B, C, H, W]`.
///
/// # Errors
/// The denoiser fails, the state stops being finite, or churn is out of range or without a seed for each sample.
pub fn heun(
    denoiser: &dyn Denoiser,
    grid: &NoiseGrid,
    x_t: &Tensor,
    churn: Option<ChurnOf<'_>>,
    on_step: &mut dyn FnMut(usize, usize),
) -> Result<Sampled> {
    let _guard = no_grad();
    let denoiser = Counted::new(denoiser);
    let n = x_t.size().first().copied().unwrap_or(0) as usize;
    if let Some(ChurnOf { churn, seeds }) = churn {
        churn.validate()?;
        if seeds.len() != n {
            return Err(Error::Seeds { expected: n, got: seeds.len() });
        }
    }
    let steps = grid.steps();
    let mut x = x_t.shallow_clone();
    for i in (1..=steps).rev() {
        let mut from = grid.level(i)?;
        if let Some(ChurnOf { churn, seeds }) = churn {
            let raised = churn.raised(from, steps);
            let variance = raised.sigma * raised.sigma - from.sigma * from.sigma;
            if variance > 0.0 {
                x = x.f_add(&noise(seeds, i, &x)?.mul_number(variance.sqrt() * churn.s_noise)?)?;
            }
            from = raised;
        }
        let (from, to) = (Levels::uniform(from, n), Levels::uniform(grid.level(i - 1)?, n));
        x = Solver::Heun.step(&denoiser, &x, &from, &to)?;
        on_step(steps - i + 1, steps);
    }
    Sampled::finite(x, denoiser.nfe(), steps)
}

/// Standard normal noise for the step from index `i`, in the shape of `x`.
fn noise(seeds: &[u64], i: usize, x: &Tensor) -> Result<Tensor> {
    let size = x.size();
    let len = size.iter().skip(1).product::<i64>() as usize;
    let draws = Key::new(0, i as u64, Stream::Churn).normals(seeds, len);
    Ok(Tensor::f_from_slice(&draws)?.f_view(&size[..])?.f_to_device(x.device())?.f_to_kind(Kind::Double)?)
}
