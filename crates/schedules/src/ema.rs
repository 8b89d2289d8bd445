//! Bias-corrected exponential moving averages (arXiv 2303.04248, section 3.2), and the rule for the inference decay.

use std::num::NonZero;

use serde::{Deserialize, Serialize};

use crate::error::{Result, check};

/// The rate `a_i = (1 - mu) / (1 - mu^i)` of update `i = 1, 2, ...` in `ema_i = (1 - a_i) ema_{i-1} + a_i phi_i`.
///
/// `mu = 0` copies. `a_1 = 1` for every `mu`, so the first update discards the start value. `1 - mu^i` is computed with
/// `expm1`, so that a decay of 0.99999 keeps its digits.
pub fn bias_corrected_rate(decay: f64, update: NonZero<u64>) -> f64 {
    if decay <= 0.0 {
        return 1.0;
    }
    let i = update.get() as f64;
    (1.0 - decay) / -(i * decay.ln()).exp_m1()
}

/// How the decay of an EMA is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decay {
    /// This decay, in `[0, 1)`.
    Fixed(f64),
    /// `mu = forget^(1 / steps)`: the average at the phase's start has the weight `forget` at the phase's end.
    Forget(f64),
}

impl Default for Decay {
    /// The reference code's rule: the start has the weight 1e-3 after a phase.
    fn default() -> Self {
        Self::Forget(1e-3)
    }
}

impl Decay {
    /// The decay for a phase of `steps` updates.
    ///
    /// # Errors
    /// A decay outside `[0, 1)`, a share outside `(0, 1)`, or a phase without steps where the rule needs them.
    pub fn resolve(&self, steps: u64) -> Result<f64> {
        match *self {
            Self::Fixed(decay) => {
                check((0.0..1.0).contains(&decay), "decay", decay, "at least 0 and below 1")?;
                Ok(decay)
            }
            Self::Forget(share) => {
                check(share > 0.0 && share < 1.0, "forget", share, "between 0 and 1, both excluded")?;
                check(steps > 0, "steps", steps as f64, "a phase of at least one step")?;
                Ok(share.powf(1.0 / steps as f64))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_of_a_constant_is_the_constant_at_once() {
        for decay in [0.0, 0.5, 0.99995] {
            let mut ema = 123.0;
            for i in 1..=20 {
                let a = bias_corrected_rate(decay, NonZero::new(i).unwrap());
                ema = (1.0 - a) * ema + a * 7.0;
                assert!((ema - 7.0).abs() < 1e-12, "decay {decay} update {i}: {ema}");
            }
        }
    }

    #[test]
    fn equals_the_normalised_geometric_weights() {
        let (mu, values) = (0.9f64, [1.0, -2.0, 4.0, 0.5]);
        let mut ema = 0.0;
        for (i, v) in values.iter().enumerate() {
            let a = bias_corrected_rate(mu, NonZero::new(i as u64 + 1).unwrap());
            ema = (1.0 - a) * ema + a * v;
        }
        let weights: Vec<f64> = (0..4).rev().map(|k| mu.powi(k)).collect();
        let want: f64 =
            weights.iter().zip(values).map(|(w, v)| w * v).sum::<f64>() / weights.iter().sum::<f64>();
        assert!((ema - want).abs() < 1e-14);
    }

    #[test]
    fn the_rule_forgets_as_much_as_it_says() {
        let mu = Decay::Forget(1e-3).resolve(5000).unwrap();
        assert!((mu.powi(5000) - 1e-3).abs() < 1e-12);
        assert!(Decay::Fixed(1.0).resolve(10).is_err());
        assert!(Decay::Forget(0.0).resolve(10).is_err());
        assert!(Decay::Forget(0.1).resolve(0).is_err());
    }
}
