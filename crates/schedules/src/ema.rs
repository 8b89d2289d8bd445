//! How the decay of a moving average is chosen (arXiv 2303.04248, section 3.2).

use serde::{Deserialize, Serialize};

use crate::error::{Result, check};

/// How the decay of an EMA is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decay {
    /// The decay per step, at least 0 and below 1, as in `{ fixed = 0.9999 }`.
    Fixed(f64),
    /// The decay per step is `forget^(1 / steps)`: the average at the start of the teacher's training or of a phase has the weight
    /// `forget` at its end, between 0 and 1, both excluded, as in `{ forget = 0.001 }`.
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
    fn the_rule_forgets_as_much_as_it_says() {
        let mu = Decay::Forget(1e-3).resolve(5000).unwrap();
        assert!((mu.powi(5000) - 1e-3).abs() < 1e-12);
        assert!(Decay::Fixed(1.0).resolve(10).is_err());
        assert!(Decay::Forget(0.0).resolve(10).is_err());
        assert!(Decay::Forget(0.1).resolve(0).is_err());
    }
}
