//! Weights of the squared error in `x0`, as functions of the noise level.

use serde::{Deserialize, Serialize};

use crate::error::{Result, check};
use crate::level::NoiseLevel;

/// Weight on `|x0_hat - x0|^2`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Weighting {
    /// 1: the error in `x0` itself.
    Uniform,
    /// `snr = gamma / (1 - gamma)`: the error in `eps` (TRACT, arXiv 2303.04248).
    Snr,
    /// `max(snr, 1)`: progressive distillation's truncation (arXiv 2202.00512), used by TRACT's released code.
    #[default]
    TruncatedSnr,
    /// `snr + 1`: the error in `v` (arXiv 2202.00512).
    SnrPlusOne,
    /// `(sigma^2 + sigma_data^2) / (sigma sigma_data)^2` (EDM, arXiv 2206.00364, table 1), at the level's variance
    /// exploding noise `sigma / alpha`.
    Edm {
        /// Standard deviation of the data, whose values are in `[-1, 1]`.
        #[schemars(extend("exclusiveMinimum" = 0))]
        sigma_data: f64,
    },
}

impl Weighting {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the parameter that is out of range.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Self::Edm { sigma_data } => {
                check(sigma_data.is_finite() && sigma_data > 0.0, "sigma_data", sigma_data, "a number > 0")
            }
            _ => Ok(()),
        }
    }

    /// The weight at `level`; all but the uniform one are infinite at no noise, and all are finite at noise alone.
    pub fn at(&self, level: NoiseLevel) -> f64 {
        match *self {
            Self::Uniform => 1.0,
            Self::Snr => level.snr(),
            Self::TruncatedSnr => level.snr().max(1.0),
            Self::SnrPlusOne => level.snr() + 1.0,
            Self::Edm { sigma_data } => {
                // The formula divided through by sigma^2: at noise alone, sigma is infinite and 1 / sigma^2 = snr is 0.
                level.snr() + sigma_data.powi(-2)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_at_a_known_level() {
        let level = NoiseLevel { alpha: 0.6, sigma: 0.8 };
        let snr = 0.36 / 0.64;
        assert!((Weighting::Snr.at(level) - snr).abs() < 1e-15);
        assert_eq!(Weighting::TruncatedSnr.at(level), 1.0);
        assert!((Weighting::SnrPlusOne.at(level) - 1.0 / 0.64).abs() < 1e-14);
        let sigma = 0.8f64 / 0.6;
        let edm = (sigma * sigma + 0.25) / (0.25 * sigma * sigma);
        assert!((Weighting::Edm { sigma_data: 0.5 }.at(level) - edm).abs() < 1e-13);
        let clean = NoiseLevel { alpha: 0.8, sigma: 0.6 };
        assert_eq!(Weighting::TruncatedSnr.at(clean), Weighting::Snr.at(clean));
        assert!(Weighting::Edm { sigma_data: 0.0 }.validate().is_err());
    }

    #[test]
    fn weights_at_noise_alone_are_finite() {
        let noise = NoiseLevel { alpha: 0.0, sigma: 1.0 };
        let edm = Weighting::Edm { sigma_data: 0.5 };
        let all = [Weighting::Uniform, Weighting::Snr, Weighting::TruncatedSnr, Weighting::SnrPlusOne, edm];
        assert_eq!(all.map(|weighting| weighting.at(noise)), [1.0, 0.0, 1.0, 1.0, 4.0]);
    }
}
