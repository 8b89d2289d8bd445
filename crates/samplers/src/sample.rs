//! Loops over steps: from noise to images.

use fewstep_models::{Counted, Denoiser, Levels, X0Clip, column};
use fewstep_schedules::NoiseGrid;
use fewstep_torch::{ScalarOps, Tensor, no_grad};

use crate::error::{Error, Result};
use crate::step::Step;

/// Generated images and what they cost.
#[derive(Debug)]
pub struct Sampled {
    /// Images, f64 `[B, C, H, W]`, nominally in `[-1, 1]`, not quantised.
    pub x0: Tensor,
    /// Evaluations of the denoiser, a batch counting once.
    pub nfe: u64,
}

impl Sampled {
    /// The result of a loop of `steps` steps.
    pub(crate) fn finite(x0: Tensor, nfe: u64, steps: usize) -> Result<Self> {
        if x0.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
            return Err(Error::NonFinite { steps });
        }
        Ok(Self { x0, nfe })
    }
}

/// The state at the grid's noise end for standard normal draws `z`: `z` itself for variance preserving grids and for flow
/// matching's line, which ends at noise alone, `sigma_max z` for variance exploding grids.
///
/// # Shapes
/// f64 `[B, C, H, W]` to the same.
///
/// # Errors
/// libtorch fails.
pub fn initial_state(z: &Tensor, grid: &NoiseGrid) -> Result<Tensor> {
    Ok(match grid.is_variance_preserving() {
        true => z.shallow_clone(),
        false => z.mul_number(grid.last().sigma)?,
    })
}

/// DDIM (arXiv 2010.02502) down a whole grid, one step between each two levels.
///
/// To take fewer steps than a grid has, pass [`NoiseGrid::every`] of it. `on_step` is called after each step with the
/// steps done and the steps in all.
///
/// # Shapes
/// `x_t` is the state at the grid's last level, f64 `[B, C, H, W]`.
///
/// # Errors
/// The denoiser fails, or the images are not finite.
pub fn ddim(
    denoiser: &dyn Denoiser,
    grid: &NoiseGrid,
    x_t: &Tensor,
    on_step: &mut dyn FnMut(usize, usize),
) -> Result<Sampled> {
    walk(denoiser, grid, x_t, on_step, |x, x0_hat, from, to| {
        Step::between(from, to, x.device())?.apply(x, x0_hat)
    })
}

/// DDIM whose steps clip the image and keep the noise that the answer before clipping implies:
/// `x_s = alpha_s clip(x0_hat) + sigma_s (x_t - alpha_t x0_hat) / sigma_t`.
///
/// This is how diffusers' pipelines step. [`ddim`] of a clipped denoiser takes the noise from the clipped answer, as the
/// codes of ADM and of TRACT do. Without clipping they are the same.
///
/// # Shapes
/// Those of [`ddim`].
///
/// # Errors
/// Those of [`ddim`].
pub fn ddim_keeping_noise(
    denoiser: &dyn Denoiser,
    clip: X0Clip,
    grid: &NoiseGrid,
    x_t: &Tensor,
    on_step: &mut dyn FnMut(usize, usize),
) -> Result<Sampled> {
    walk(denoiser, grid, x_t, on_step, |x, x0_hat, from, to| {
        let device = x.device();
        let noise = x.f_sub(&x0_hat.f_mul(&from.column(device, |l| l.alpha)?)?)?;
        let ratios = column(device, from.iter().zip(to.iter()).map(|(t, s)| s.sigma / t.sigma))?;
        let image = clip.apply(x0_hat)?.f_mul(&to.column(device, |l| l.alpha)?)?;
        Ok(noise.f_mul(&ratios)?.f_add(&image)?)
    })
}

/// The loop of DDIM: `step` takes the state, the answer there, and the levels that the step goes between.
fn walk(
    denoiser: &dyn Denoiser,
    grid: &NoiseGrid,
    x_t: &Tensor,
    on_step: &mut dyn FnMut(usize, usize),
    step: impl Fn(&Tensor, &Tensor, &Levels, &Levels) -> Result<Tensor>,
) -> Result<Sampled> {
    let _guard = no_grad();
    let denoiser = Counted::new(denoiser);
    let n = x_t.size().first().copied().unwrap_or(0) as usize;
    let steps = grid.steps();
    let mut x = x_t.shallow_clone();
    for i in (1..=steps).rev() {
        let (from, to) = (Levels::uniform(grid.level(i)?, n), Levels::uniform(grid.level(i - 1)?, n));
        let x0_hat = denoiser.denoise(&x, &from)?;
        x = step(&x, &x0_hat, &from, &to)?;
        on_step(steps - i + 1, steps);
    }
    Sampled::finite(x, denoiser.nfe(), steps)
}
