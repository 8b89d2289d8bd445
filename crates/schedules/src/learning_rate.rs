//! The learning rate as a function of progress.

use serde::{Deserialize, Serialize};

use crate::error::{Result, check};

/// What the rate does after its warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LearningRateDecay {
    /// The rate stays at `base`.
    #[default]
    Constant,
    /// The rate falls to 0 at the end of the teacher's training or of a phase, along half a cosine.
    Cosine,
}

/// A learning rate: linear warm-up from 0 over the first `warmup` samples, then constant or falling.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearningRate {
    /// The full rate, after the warm-up.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub base: f64,
    /// Samples over which the rate rises linearly from 0.
    #[serde(default)]
    pub warmup: u64,
    /// What the rate does after the warm-up.
    #[serde(default)]
    pub decay: LearningRateDecay,
}

impl LearningRate {
    /// A constant rate.
    pub fn constant(base: f64) -> Self {
        Self { base, warmup: 0, decay: LearningRateDecay::Constant }
    }

    /// Checks the rate.
    ///
    /// # Errors
    /// A rate that is not a positive finite number.
    pub fn validate(&self) -> Result<()> {
        check(self.base.is_finite() && self.base > 0.0, "learning rate", self.base, "a number > 0")
    }

    /// The rate for the update that ends at sample `nimg` (counted within the stage) of a stage of `total` samples.
    pub fn at(&self, nimg: u64, total: u64) -> f64 {
        let warm = if self.warmup == 0 { 1.0 } else { (nimg as f64 / self.warmup as f64).min(1.0) };
        let fall = match self.decay {
            LearningRateDecay::Constant => 1.0,
            LearningRateDecay::Cosine => {
                let progress = (nimg as f64 / total.max(1) as f64).min(1.0);
                0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
        };
        self.base * warm * fall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_linearly_and_falls_to_zero() {
        let lr = LearningRate { base: 2e-4, warmup: 1000, decay: LearningRateDecay::Constant };
        assert_eq!(lr.at(500, 10_000), 1e-4);
        assert_eq!(lr.at(1000, 10_000), 2e-4);
        assert_eq!(lr.at(9000, 10_000), 2e-4);
        let lr = LearningRate { base: 2e-4, warmup: 0, decay: LearningRateDecay::Cosine };
        assert!((lr.at(5000, 10_000) - 1e-4).abs() < 1e-15);
        assert!(lr.at(10_000, 10_000).abs() < 1e-15);
        assert!(LearningRate::constant(0.0).validate().is_err());
    }
}
