//! Schedules, which map time to a noise level. Time runs from 0, clean, to 1, noise.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::betas::{BetaTable, Betas};
use crate::error::{Result, check};
use crate::grid::{MAX_STEPS, NoiseGrid};
use crate::level::NoiseLevel;
use crate::noise_schedule::NoiseSchedule;

/// A noise schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// VP, cosine in log-SNR: `log_snr(t) = -2 ln tan(a t + b)`, so `alpha = cos(a t + b)`, `sigma = sin(a t + b)`
    /// (arXiv 2102.09672 in the log-SNR form of arXiv 2202.00512).
    ///
    /// At `t = 0` log-SNR is `log_snr_max`, not infinity: the grid's clean end has `sigma = 4.5e-5` by default, as in
    /// the reference code. The reference rounds both arctangents to f32, which moves log-SNR by up to 1.1e-3 near the
    /// ends. This code does not: no published number depends on it.
    CosineLogSnr {
        /// Log-SNR at `t = 1`, the noise end (natural logarithm).
        #[serde(default = "log_snr_min")]
        log_snr_min: f64,
        /// Log-SNR at `t = 0`, the clean end; not above `log_snr_min` is refused.
        #[serde(default = "log_snr_max")]
        log_snr_max: f64,
    },
    /// VP, beta linear in time: `ln gamma(t) = -(beta_min t + (beta_max - beta_min) t^2 / 2)` (arXiv 2011.13456).
    LinearBeta {
        /// Beta at `t = 0`, the clean end.
        #[serde(default = "beta_min")]
        #[schemars(range(min = 0))]
        beta_min: f64,
        /// Beta at `t = 1`, the noise end; not above `beta_min` is refused.
        #[serde(default = "beta_max")]
        beta_max: f64,
    },
    /// VE, Karras: `sigma = (s_min^(1/rho) + u (s_max^(1/rho) - s_min^(1/rho)))^rho`, with `u` from 0 to 1
    /// (arXiv 2206.00364, equation 5). In a grid, index 0 is noise free and index 1 has `sigma_min`.
    Karras {
        /// Standard deviation of the noise at index 1.
        #[serde(default = "sigma_min")]
        #[schemars(extend("exclusiveMinimum" = 0))]
        sigma_min: f64,
        /// Standard deviation of the noise at the last index; not above `sigma_min` is refused.
        #[serde(default = "sigma_max")]
        sigma_max: f64,
        /// Exponent that concentrates the levels near `sigma_min`; 7 in EDM.
        #[serde(default = "rho")]
        #[schemars(extend("exclusiveMinimum" = 0))]
        rho: f64,
    },
    /// VP, the table of a network that is told an integer timestep (arXiv 2006.11239). A grid takes its levels from the table:
    /// with `N` timesteps, index `i` of `S` steps is timestep `round(i N / S) - 1`, and `S` is at most `N`.
    Betas(BetaTable),
    /// Flow matching's straight line from data to noise: `alpha = 1 - t`, `sigma = t` (arXiv 2210.02747, rectified flow). In a
    /// grid, index 0 is noise free and the last index is noise alone. In between, states have less than unit variance.
    Line {},
}

fn log_snr_min() -> f64 {
    -20.0
}
fn log_snr_max() -> f64 {
    20.0
}
fn beta_min() -> f64 {
    0.1
}
fn beta_max() -> f64 {
    20.0
}
fn sigma_min() -> f64 {
    0.002
}
fn sigma_max() -> f64 {
    80.0
}
fn rho() -> f64 {
    7.0
}

impl Default for Schedule {
    fn default() -> Self {
        Self::CosineLogSnr { log_snr_min: log_snr_min(), log_snr_max: log_snr_max() }
    }
}

impl Schedule {
    /// EDM's Karras schedule, 0.002 to 80 with `rho = 7`.
    pub fn karras() -> Self {
        Self::Karras { sigma_min: sigma_min(), sigma_max: sigma_max(), rho: rho() }
    }

    /// The same without the numbers of a listed table, which would fill a line that people read: it still says how many
    /// there are.
    pub fn without_lists(&self) -> Self {
        let mut shown = self.clone();
        if let Self::Betas(BetaTable {
            betas: Betas::Listed { values } | Betas::ListedGammas { values },
            ..
        }) = &mut shown
        {
            values.clear();
        }
        shown
    }

    /// The largest number of steps that [`Schedule::grid`] accepts.
    pub fn most_steps(&self) -> usize {
        match self {
            Self::Betas(table) => table.most_steps(),
            _ => MAX_STEPS,
        }
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the parameter that is out of range.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Self::Betas(ref table) => table.validate(),
            Self::Line {} => Ok(()),
            Self::CosineLogSnr { log_snr_min, log_snr_max } => {
                check(log_snr_min.is_finite(), "log_snr_min", log_snr_min, "a finite number")?;
                check(
                    log_snr_max.is_finite() && log_snr_max > log_snr_min,
                    "log_snr_max",
                    log_snr_max,
                    "a finite number above log_snr_min",
                )
            }
            Self::LinearBeta { beta_min, beta_max } => {
                check(beta_min.is_finite() && beta_min >= 0.0, "beta_min", beta_min, "a number >= 0")?;
                check(
                    beta_max.is_finite() && beta_max > beta_min,
                    "beta_max",
                    beta_max,
                    "a number above beta_min",
                )
            }
            Self::Karras { sigma_min, sigma_max, rho } => {
                check(sigma_min.is_finite() && sigma_min > 0.0, "sigma_min", sigma_min, "a number > 0")?;
                check(
                    sigma_max.is_finite() && sigma_max > sigma_min,
                    "sigma_max",
                    sigma_max,
                    "a number above sigma_min",
                )?;
                check(rho.is_finite() && rho > 0.0, "rho", rho, "a number > 0")
            }
        }
    }

    /// The level at continuous time `t` in `[0, 1]`.
    ///
    /// For the Karras schedule, `t = 0` is `sigma_min`: only a grid has a noise-free end. For a beta table it is timestep 0,
    /// any `t` is timestep `floor(t N)`, and `t = 1` is the last: a time drawn uniformly is a timestep drawn uniformly.
    ///
    /// A beta table is computed for this one answer; [`NoiseSchedule::prepare`] computes it once. Of a schedule that
    /// [`Schedule::validate`] refuses, the level may not be a number.
    pub fn at(&self, t: f64) -> NoiseLevel {
        match *self {
            Self::Betas(ref table) => match table.timesteps() {
                Ok(timesteps) => timesteps.at(t),
                Err(_) => NoiseLevel { alpha: f64::NAN, sigma: f64::NAN },
            },
            Self::Line {} => NoiseLevel { alpha: 1.0 - t, sigma: t },
            Self::CosineLogSnr { log_snr_min, log_snr_max } => {
                let b = (-0.5 * log_snr_max).exp().atan();
                let a = (-0.5 * log_snr_min).exp().atan() - b;
                let angle = a * t + b;
                // cos(angle) as the sine of the complement, which keeps its digits where the signal vanishes.
                let complement = (0.5 * log_snr_min).exp().atan() + a * (1.0 - t);
                NoiseLevel { alpha: complement.sin(), sigma: angle.sin() }
            }
            Self::LinearBeta { beta_min, beta_max } => {
                let ln_gamma = -(beta_min * t + 0.5 * (beta_max - beta_min) * t * t);
                NoiseLevel { alpha: (0.5 * ln_gamma).exp(), sigma: (-ln_gamma.exp_m1()).sqrt() }
            }
            Self::Karras { sigma_min, sigma_max, rho } => {
                let (lo, hi) = (sigma_min.powf(1.0 / rho), sigma_max.powf(1.0 / rho));
                NoiseLevel::from_sigma((lo + t * (hi - lo)).powf(rho))
            }
        }
    }

    /// The grid of `steps + 1` levels, index 0 clean to index `steps` noise.
    ///
    /// # Errors
    /// Invalid parameters; fewer than one step (two for Karras, whose formula divides by `steps - 1`), or more than
    /// [`MAX_STEPS`]; for a beta table, those of [`BetaTable::grid`].
    pub fn grid(&self, steps: usize) -> Result<NoiseGrid> {
        if let Self::Betas(table) = self {
            return table.grid(steps);
        }
        self.validate()?;
        check(steps <= MAX_STEPS, "steps", steps as f64, "at most 1048576 (2^20)")?;
        let n = steps as f64;
        let levels = match self {
            Self::Karras { .. } => {
                check(steps >= 2, "steps", n, "at least 2 for a Karras grid")?;
                std::iter::once(NoiseLevel::from_sigma(0.0))
                    .chain((1..=steps).map(|i| self.at((i - 1) as f64 / (n - 1.0))))
                    .collect()
            }
            _ => {
                check(steps >= 1, "steps", n, "at least 1")?;
                (0..=steps).map(|i| self.at(i as f64 / n)).collect()
            }
        };
        NoiseGrid::new(levels)
    }
}

impl NoiseSchedule for Schedule {
    fn at(&self, t: f64) -> NoiseLevel {
        Self::at(self, t)
    }

    fn grid(&self, steps: usize) -> Result<NoiseGrid> {
        Self::grid(self, steps)
    }

    fn validate(&self) -> Result<()> {
        Self::validate(self)
    }

    fn prepare(self) -> Result<Arc<dyn NoiseSchedule>> {
        if let Self::Betas(table) = self {
            return Ok(Arc::new(table.timesteps()?));
        }
        self.validate()?;
        Ok(Arc::new(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_ends_at_its_log_snr_bounds() {
        let s = Schedule::default();
        assert!((s.at(0.0).log_snr() - 20.0).abs() < 1e-9);
        assert!((s.at(1.0).log_snr() + 20.0).abs() < 1e-9);
        assert!((s.at(0.5).log_snr()).abs() < 1e-9, "symmetric bounds meet at equal signal and noise");
        let wide = Schedule::CosineLogSnr { log_snr_min: -60.0, log_snr_max: 60.0 };
        assert!((wide.at(1.0).log_snr() + 60.0).abs() < 1e-12, "digits are kept at both ends");
        assert!((wide.at(0.0).log_snr() - 60.0).abs() < 1e-12);
    }

    #[test]
    fn linear_beta_integrates_beta() {
        let s = Schedule::LinearBeta { beta_min: 0.1, beta_max: 20.0 };
        // d/dt ln gamma = -beta(t), by a central difference.
        let (t, h) = (0.3, 1e-5);
        let slope = (s.at(t + h).gamma().ln() - s.at(t - h).gamma().ln()) / (2.0 * h);
        assert!((slope + 0.1 + t * 19.9).abs() < 1e-6);
        assert_eq!(s.at(0.0).sigma, 0.0);
    }

    #[test]
    fn karras_grid_has_a_clean_end_and_the_edm_bounds() {
        let grid = Schedule::karras().grid(40).unwrap();
        assert_eq!(grid.level(0).unwrap().sigma, 0.0);
        assert!((grid.level(1).unwrap().sigma - 0.002).abs() < 1e-15);
        assert!((grid.level(40).unwrap().sigma - 80.0).abs() < 1e-11);
    }

    #[test]
    fn the_line_ends_at_noise_alone() {
        let grid = Schedule::Line {}.grid(4).unwrap();
        let ends = [NoiseLevel { alpha: 1.0, sigma: 0.0 }, NoiseLevel { alpha: 0.0, sigma: 1.0 }];
        assert_eq!([grid.first(), grid.last()], ends);
        assert_eq!(grid.levels()[1], NoiseLevel { alpha: 0.75, sigma: 0.25 });
        assert!(grid.is_variance_preserving(), "of its noise end");
    }

    #[test]
    fn a_table_is_asked_as_it_is_when_prepared() {
        let table = BetaTable { timesteps: 10, ..BetaTable::default() };
        let schedule = Schedule::Betas(table.clone());
        assert_eq!(schedule.grid(5).unwrap(), table.grid(5).unwrap());
        assert_eq!((schedule.most_steps(), Schedule::default().most_steps()), (10, MAX_STEPS));
        let prepared = schedule.clone().prepare().unwrap();
        assert_eq!(prepared.grid(5).unwrap(), table.grid(5).unwrap());
        for t in [0.0, 0.05, 0.55, 1.0] {
            assert_eq!(schedule.at(t), prepared.at(t));
        }
        assert_eq!(schedule.at(0.55), table.levels().unwrap()[5]);
        let listed = Betas::Listed { values: vec![0.1; 10] };
        let Schedule::Betas(shown) =
            Schedule::Betas(BetaTable { betas: listed, ..table.clone() }).without_lists()
        else {
            panic!("still a table")
        };
        assert_eq!((shown.betas, shown.timesteps), (Betas::Listed { values: vec![] }, 10));
        assert_eq!(schedule.without_lists(), schedule);
        let wrong = Schedule::Betas(BetaTable { timesteps: 0, ..table });
        assert!(wrong.validate().is_err() && wrong.grid(1).is_err() && wrong.at(0.5).alpha.is_nan());
        assert!(wrong.prepare().unwrap_err().to_string().contains("timesteps"));
    }

    #[test]
    fn wrong_parameters_are_named() {
        let bad = Schedule::Karras { sigma_min: 0.0, sigma_max: 80.0, rho: 7.0 };
        assert!(bad.grid(10).unwrap_err().to_string().contains("sigma_min"));
        let bad = Schedule::CosineLogSnr { log_snr_min: 3.0, log_snr_max: 2.0 };
        assert!(bad.grid(10).unwrap_err().to_string().contains("log_snr_max"));
        assert!(Schedule::default().grid(0).is_err());
        assert!(Schedule::karras().grid(1).is_err());
    }

    #[test]
    fn serde_uses_kind_and_refuses_unknown_keys() {
        let s: Schedule = serde_json::from_str(r#"{"kind":"cosine_log_snr"}"#).unwrap();
        assert_eq!(s, Schedule::default());
        assert!(serde_json::from_str::<Schedule>(r#"{"kind":"karras","sigma":1}"#).is_err());
        let table = r#"{"kind":"betas","betas":{"kind":"laplace"},"timesteps":7}"#;
        let table: Schedule = serde_json::from_str(table).unwrap();
        let expected = BetaTable { betas: Betas::Laplace {}, timesteps: 7, ..BetaTable::default() };
        assert_eq!(table, Schedule::Betas(expected));
        let written = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&written).unwrap(), table);
        assert_eq!(serde_json::from_str::<Schedule>(r#"{"kind":"line"}"#).unwrap(), Schedule::Line {});
        for unknown in [r#"{"kind":"betas","steps":7}"#, r#"{"kind":"line","timesteps":7}"#] {
            assert!(serde_json::from_str::<Schedule>(unknown).is_err(), "{unknown}");
        }
    }
}
