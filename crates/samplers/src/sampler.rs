//! The choice of a sampling loop, as a config holds it.

use std::fmt;

use fewstep_models::{Clipped, Denoiser, X0Clip};
use fewstep_schedules::NoiseGrid;
use fewstep_torch::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::heun::{Churn, ChurnOf, heun};
use crate::sample::{Sampled, ddim, ddim_keeping_noise};
use crate::solver::Solver;

/// How a grid is walked from noise to images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampler {
    /// The step.
    pub solver: Solver,
    /// Noise added back before steps, with Heun's method only; absent: sampling is deterministic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub churn: Option<Churn>,
    /// With DDIM and clipping only: whether a step keeps the noise that the answer before clipping implies, as diffusers'
    /// pipelines do; otherwise that of the clipped answer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_noise: bool,
}

impl From<Solver> for Sampler {
    fn from(solver: Solver) -> Self {
        Self { solver, ..Self::default() }
    }
}

impl Sampler {
    /// Whether it is DDIM, which students are made for.
    pub fn is_ddim(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that the parts go together.
    ///
    /// # Errors
    /// Churn with DDIM, churn out of range, or noise that is kept with another solver.
    pub fn validate(&self) -> Result<()> {
        match (self.solver, self.churn) {
            (Solver::Heun, _) if self.keep_noise => Err(Error::KeepNoise),
            (Solver::Ddim, Some(_)) => Err(Error::Churn),
            (_, Some(churn)) => churn.validate(),
            (_, None) => Ok(()),
        }
    }

    /// Walks down a whole grid, with the answers of `denoiser` clipped; see [`ddim`], [`ddim_keeping_noise`] and [`heun`].
    /// `seeds` has one seed per sample, for churn.
    ///
    /// # Shapes
    /// `x_t` is the state at the grid's last level, f64 `[B, C, H, W]`.
    ///
    /// # Errors
    /// Those of [`Sampler::validate`], [`ddim`] and [`heun`].
    pub fn run(
        &self,
        denoiser: &dyn Denoiser,
        clip: X0Clip,
        grid: &NoiseGrid,
        x_t: &Tensor,
        seeds: &[u64],
    ) -> Result<Sampled> {
        self.validate()?;
        let clipped = Clipped::new(denoiser, clip);
        match self.solver {
            Solver::Ddim if self.keep_noise => ddim_keeping_noise(denoiser, clip, grid, x_t, &mut |_, _| {}),
            Solver::Ddim => ddim(&clipped, grid, x_t, &mut |_, _| {}),
            Solver::Heun => {
                let churn = self.churn.map(|churn| ChurnOf { churn, seeds });
                heun(&clipped, grid, x_t, churn, &mut |_, _| {})
            }
        }
    }
}

impl fmt::Display for Sampler {
    /// As records name it: `ddim`, `heun`, `heun, s_churn 40, ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.solver {
            Solver::Ddim => "ddim",
            Solver::Heun => "heun",
        })?;
        if self.keep_noise {
            f.write_str(", noise kept")?;
        }
        let Some(Churn { s_churn, s_min, s_max, s_noise }) = self.churn else { return Ok(()) };
        write!(f, ", s_churn {s_churn}, s_min {s_min}, ")?;
        s_max.map_or(Ok(()), |s_max| write!(f, "s_max {s_max}, "))?;
        write!(f, "s_noise {s_noise}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_do_not_go_together_are_refused() {
        let churn = Some(Churn { s_churn: 40.0, s_max: Some(50.0), ..Churn::default() });
        let e = Sampler { churn, ..Sampler::default() }.validate().unwrap_err().to_string();
        assert!(e.contains("heun"), "{e}");
        let negative = Some(Churn { s_noise: -1.0, ..Churn::default() });
        assert!(Sampler { churn: negative, ..Solver::Heun.into() }.validate().is_err());
        let heun = Sampler { churn, ..Solver::Heun.into() };
        heun.validate().unwrap();
        assert_eq!(heun.to_string(), "heun, s_churn 40, s_min 0, s_max 50, s_noise 1");
        assert_eq!(Sampler::default().to_string(), "ddim");
        let kept = Sampler { keep_noise: true, ..Sampler::default() };
        assert_eq!(kept.to_string(), "ddim, noise kept");
        assert!(!kept.is_ddim() && Sampler { keep_noise: true, ..heun }.validate().is_err());
        assert!(Sampler::default().is_ddim() && !Sampler::from(Solver::Heun).is_ddim());
    }
}
