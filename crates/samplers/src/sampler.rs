//! The choice of a sampling loop, as a config holds it.

use std::fmt;

use fewstep_models::Denoiser;
use fewstep_schedules::NoiseGrid;
use fewstep_torch::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::heun::{Churn, ChurnOf, heun};
use crate::sample::{Sampled, ddim};
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
}

impl From<Solver> for Sampler {
    fn from(solver: Solver) -> Self {
        Self { solver, churn: None }
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
    /// Churn with DDIM, or churn out of range.
    pub fn validate(&self) -> Result<()> {
        match (self.solver, self.churn) {
            (Solver::Ddim, Some(_)) => Err(Error::Churn),
            (_, Some(churn)) => churn.validate(),
            (_, None) => Ok(()),
        }
    }

    /// Walks down a whole grid; see [`ddim`] and [`heun`]. `seeds` has one seed per sample, for churn.
    ///
    /// # Shapes
    /// `x_t` is the state at the grid's last level, f64 `[B, C, H, W]`.
    ///
    /// # Errors
    /// Those of [`Sampler::validate`], [`ddim`] and [`heun`].
    pub fn run(
        &self,
        denoiser: &dyn Denoiser,
        grid: &NoiseGrid,
        x_t: &Tensor,
        seeds: &[u64],
    ) -> Result<Sampled> {
        self.validate()?;
        match self.solver {
            Solver::Ddim => ddim(denoiser, grid, x_t, &mut |_, _| {}),
            Solver::Heun => {
                let churn = self.churn.map(|churn| ChurnOf { churn, seeds });
                heun(denoiser, grid, x_t, churn, &mut |_, _| {})
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
        let e = Sampler { solver: Solver::Ddim, churn }.validate().unwrap_err().to_string();
        assert!(e.contains("heun"), "{e}");
        let negative = Some(Churn { s_noise: -1.0, ..Churn::default() });
        assert!(Sampler { solver: Solver::Heun, churn: negative }.validate().is_err());
        let heun = Sampler { solver: Solver::Heun, churn };
        heun.validate().unwrap();
        assert_eq!(heun.to_string(), "heun, s_churn 40, s_min 0, s_max 50, s_noise 1");
        assert_eq!(Sampler::default().to_string(), "ddim");
        assert!(Sampler::default().is_ddim() && !Sampler::from(Solver::Heun).is_ddim());
    }
}
