//! Loops over steps: from noise to images.

use fewstep_models::{Counted, Denoiser, Levels};
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
    let _guard = no_grad();
    let denoiser = Counted::new(denoiser);
    let n = x_t.size().first().copied().unwrap_or(0) as usize;
    let steps = grid.steps();
    let mut x = x_t.shallow_clone();
    for i in (1..=steps).rev() {
        let (from, to) = (Levels::uniform(grid.level(i)?, n), Levels::uniform(grid.level(i - 1)?, n));
        let x0_hat = denoiser.denoise(&x, &from)?;
        x = Step::between(&from, &to, x.device())?.apply(&x, &x0_hat)?;
        on_step(steps - i + 1, steps);
    }
    Sampled::finite(x, denoiser.nfe(), steps)
}
