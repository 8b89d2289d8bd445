//! Schedules, which map time to a noise level, and the grids made from them.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check};
use crate::level::NoiseLevel;

/// A noise schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
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

    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the parameter that is out of range.
    pub fn validate(&self) -> Result<()> {
        match *self {
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
    /// For the Karras schedule, `t = 0` is `sigma_min`: only a grid has a noise-free end.
    pub fn at(&self, t: f64) -> NoiseLevel {
        match *self {
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
    /// [`MAX_STEPS`].
    pub fn grid(&self, steps: usize) -> Result<NoiseGrid> {
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

/// The largest number of steps of a grid: a thousand times what is used, and small enough that a number from a damaged
/// file cannot exhaust memory.
pub const MAX_STEPS: usize = 1 << 20;

/// Noise levels at the indices `0..=T` of a time grid, from clean to noise.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseGrid {
    levels: Vec<NoiseLevel>,
}

impl NoiseGrid {
    /// A grid of these levels, clean end first.
    ///
    /// # Errors
    /// Fewer than two levels, or noise that does not grow with the index.
    pub fn new(levels: Vec<NoiseLevel>) -> Result<Self> {
        check(levels.len() >= 2, "levels", levels.len() as f64, "at least two levels")?;
        for pair in levels.windows(2) {
            DirectionCheck { from: pair[1], to: pair[0] }.validate()?;
        }
        Ok(Self { levels })
    }

    /// The number of steps `T` (one less than the number of levels).
    pub fn steps(&self) -> usize {
        self.levels.len() - 1
    }

    /// The level at `index`.
    ///
    /// # Errors
    /// An index past the end.
    pub fn level(&self, index: usize) -> Result<NoiseLevel> {
        self.levels.get(index).copied().ok_or(Error::NotOnGrid { index, steps: self.steps() })
    }

    /// The clean end.
    pub fn first(&self) -> NoiseLevel {
        self.levels[0]
    }

    /// The noise end.
    pub fn last(&self) -> NoiseLevel {
        // A grid has at least two levels.
        self.levels[self.levels.len() - 1]
    }

    /// All levels, clean end first.
    pub fn levels(&self) -> &[NoiseLevel] {
        &self.levels
    }

    /// The sub-grid of `steps` equal index strides: indices `T k / steps`.
    ///
    /// # Errors
    /// `steps` does not divide `T`.
    pub fn every(&self, steps: usize) -> Result<Self> {
        let total = self.steps();
        if steps == 0 || !total.is_multiple_of(steps) {
            return Err(Error::NoSubGrid { steps: total, wanted: steps });
        }
        Self::new((0..=steps).map(|k| self.levels[k * (total / steps)]).collect())
    }

    /// The levels at these indices, ascending.
    ///
    /// # Errors
    /// Fewer than two indices, indices that do not ascend, or one past the end.
    pub fn visited(&self, indices: &[usize]) -> Result<Self> {
        Self::new(indices.iter().map(|&index| self.level(index)).collect::<Result<_>>()?)
    }

    /// Whether its states keep unit variance, `alpha^2 + sigma^2 = 1`, at the noise end; else `alpha = 1` there.
    pub fn is_variance_preserving(&self) -> bool {
        self.last().alpha != 1.0
    }
}

/// Noise levels by continuous time: what a teacher is trained on, and what grids are cut from. [`Schedule`] has those that
/// a config can name; a library user may bring others.
pub trait NoiseSchedule: std::fmt::Debug + Send + Sync {
    /// The level at time `t` in `[0, 1]`, from clean to noise.
    fn at(&self, t: f64) -> NoiseLevel;

    /// The grid of `steps` steps of equal time.
    ///
    /// # Errors
    /// A number of steps outside `1..=MAX_STEPS`, or noise that does not grow with time.
    fn grid(&self, steps: usize) -> Result<NoiseGrid> {
        check((1..=MAX_STEPS).contains(&steps), "steps", steps as f64, "from 1 to 1048576 (2^20)")?;
        NoiseGrid::new((0..=steps).map(|i| self.at(i as f64 / steps as f64)).collect())
    }

    /// Checks its numbers.
    ///
    /// # Errors
    /// Names the one that is out of range.
    fn validate(&self) -> Result<()> {
        Ok(())
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
}

/// The check that grids and steps share: `sigma / alpha` must strictly shrink from `from` to `to`. It is infinite at
/// `alpha = 0`, noise alone, which can only be where a step starts.
pub(crate) struct DirectionCheck {
    pub(crate) from: NoiseLevel,
    pub(crate) to: NoiseLevel,
}

impl DirectionCheck {
    pub(crate) fn validate(&self) -> Result<()> {
        let ratio = |l: NoiseLevel| l.sigma / l.alpha;
        let ok = self.from.alpha >= 0.0 && self.to.alpha > 0.0 && ratio(self.to) < ratio(self.from);
        if ok {
            Ok(())
        } else {
            Err(Error::StepDirection {
                from: (self.from.alpha, self.from.sigma),
                to: (self.to.alpha, self.to.sigma),
            })
        }
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
    fn wrong_parameters_are_named() {
        let bad = Schedule::Karras { sigma_min: 0.0, sigma_max: 80.0, rho: 7.0 };
        assert!(bad.grid(10).unwrap_err().to_string().contains("sigma_min"));
        let bad = Schedule::CosineLogSnr { log_snr_min: 3.0, log_snr_max: 2.0 };
        assert!(bad.grid(10).unwrap_err().to_string().contains("log_snr_max"));
        assert!(Schedule::default().grid(0).is_err());
        assert!(Schedule::karras().grid(1).is_err());
    }

    #[test]
    fn a_sub_grid_needs_a_divisor() {
        let grid = Schedule::default().grid(64).unwrap();
        assert_eq!(grid.every(8).unwrap().level(1).unwrap(), grid.level(8).unwrap());
        assert!(grid.every(7).unwrap_err().to_string().contains("7 does not divide 64"));
        assert!(grid.every(0).is_err());
        assert!(grid.level(65).unwrap_err().to_string().contains("index 65 is not on the grid of 64 steps"));
    }

    #[test]
    fn serde_uses_kind_and_refuses_unknown_keys() {
        let s: Schedule = serde_json::from_str(r#"{"kind":"cosine_log_snr"}"#).unwrap();
        assert_eq!(s, Schedule::default());
        assert!(serde_json::from_str::<Schedule>(r#"{"kind":"karras","sigma":1}"#).is_err());
    }
}
