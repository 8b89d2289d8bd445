//! The noise level: all that a network, a step or a weighting needs to know about time.

/// The scales of signal and noise in `x_t = alpha x0 + sigma eps`, with `alpha >= 0` and `sigma >= 0`, not both 0.
///
/// Variance preserving: `alpha^2 + sigma^2 = 1`, `gamma = alpha^2`. Variance exploding: `alpha = 1`. Flow matching's line:
/// `alpha + sigma = 1`.
///
/// `alpha = 0` is noise alone: a level that a step may start from and none may end at, with `snr = 0`, `log_snr` minus
/// infinity, and no variance exploding form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseLevel {
    /// Scale of the signal.
    pub alpha: f64,
    /// Standard deviation of the noise.
    pub sigma: f64,
}

impl NoiseLevel {
    /// The variance preserving level with this log signal-to-noise ratio.
    ///
    /// `gamma = sigmoid(log_snr)`; `sigma` is computed from `sigmoid(-log_snr)`, so that it keeps its digits near
    /// `t = 0`.
    pub fn from_log_snr(log_snr: f64) -> Self {
        Self { alpha: sigmoid(log_snr).sqrt(), sigma: sigmoid(-log_snr).sqrt() }
    }

    /// The variance exploding level with noise of standard deviation `sigma`.
    pub fn from_sigma(sigma: f64) -> Self {
        Self { alpha: 1.0, sigma }
    }

    /// `ln(alpha^2 / sigma^2)`; infinite at `sigma = 0`, minus infinity at `alpha = 0`.
    pub fn log_snr(&self) -> f64 {
        2.0 * (self.alpha / self.sigma).ln()
    }

    /// `alpha^2 / sigma^2`; infinite at `sigma = 0`.
    pub fn snr(&self) -> f64 {
        (self.alpha / self.sigma).powi(2)
    }

    /// `alpha^2`: TRACT's gamma, elsewhere called alpha-bar.
    pub fn gamma(&self) -> f64 {
        self.alpha * self.alpha
    }

    /// The level with the same signal-to-noise ratio and `alpha = 1`. Divide the state by `alpha` to match. At `alpha = 0`
    /// sigma is infinite.
    pub fn variance_exploding(&self) -> Self {
        Self { alpha: 1.0, sigma: self.sigma / self.alpha }
    }

    /// The level with the same signal-to-noise ratio and `alpha^2 + sigma^2 = 1`. Divide the state by
    /// `hypot(alpha, sigma)` to match.
    pub fn variance_preserving(&self) -> Self {
        let norm = self.alpha.hypot(self.sigma);
        Self { alpha: self.alpha / norm, sigma: self.sigma / norm }
    }
}

fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_snr_round_trips_and_stays_variance_preserving() {
        for l in [-20.0, -3.0, 0.0, 1e-3, 7.5, 20.0] {
            let level = NoiseLevel::from_log_snr(l);
            assert!((level.log_snr() - l).abs() < 1e-12 * l.abs().max(1.0));
            assert!((level.gamma() + level.sigma.powi(2) - 1.0).abs() < 4.0 * f64::EPSILON);
            let back = level.variance_exploding().variance_preserving();
            assert!((back.alpha - level.alpha).abs() < 1e-15 && (back.sigma - level.sigma).abs() < 1e-15);
        }
    }

    #[test]
    fn noise_alone_has_no_signal_in_any_form() {
        let noise = NoiseLevel { alpha: 0.0, sigma: 2.0 };
        assert_eq!((noise.snr(), noise.gamma(), noise.log_snr()), (0.0, 0.0, f64::NEG_INFINITY));
        assert_eq!(noise.variance_preserving(), NoiseLevel { alpha: 0.0, sigma: 1.0 });
        assert_eq!(noise.variance_exploding().sigma, f64::INFINITY);
    }
}
