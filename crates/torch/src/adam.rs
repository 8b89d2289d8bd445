//! Adam (arXiv 1412.6980) on one flat buffer, with all its state in public fields, to save and restore.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::error::{Error, Result, same_shape};
use crate::no_grad;
use crate::scalar::ScalarOps;
use crate::shim::{self, AdamRates};

/// Constants of Adam (arXiv 1412.6980), without its learning rate, which changes from step to step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdamConfig {
    /// Decay of the first moment, per step.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub beta1: f64,
    /// Decay of the second moment, per step.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub beta2: f64,
    /// Number added to the root of the second moment.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub eps: f64,
}

impl AdamConfig {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the number that is out of range.
    pub fn validate(&self) -> Result<()> {
        for (name, got) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&got) {
                return Err(Error::OutOfRange { name, got, expected: "at least 0 and below 1" });
            }
        }
        positive("eps", self.eps)
    }
}

fn positive(name: &'static str, got: f64) -> Result<()> {
    if got.is_finite() && got > 0.0 {
        return Ok(());
    }
    Err(Error::OutOfRange { name, got, expected: "a number above 0" })
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}

/// What is done to a gradient before Adam uses it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum GradientRule {
    /// The gradient is scaled so that its L2 norm over all parameters is at most `max_norm`.
    ClipNorm {
        /// The largest norm allowed.
        #[schemars(extend("exclusiveMinimum" = 0))]
        max_norm: f64,
    },
    /// Not-a-number becomes 0, infinities become plus or minus `limit` (EDM's training code).
    ReplaceNonFinite {
        /// The value that replaces infinity; minus infinity becomes minus this.
        #[schemars(extend("exclusiveMinimum" = 0))]
        limit: f64,
    },
    /// The gradient is used as it is.
    Keep,
}

impl Default for GradientRule {
    fn default() -> Self {
        Self::ClipNorm { max_norm: 1.0 }
    }
}

impl GradientRule {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the number that is out of range.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Self::ClipNorm { max_norm } => positive("max_norm", max_norm),
            Self::ReplaceNonFinite { limit } => positive("limit", limit),
            Self::Keep => Ok(()),
        }
    }

    /// Applies the rule to a flat gradient in place. Returns the L2 norm before the rule, accumulated in f64.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn apply(&self, grad: &mut Tensor) -> Result<f64> {
        let _guard = no_grad();
        let norm = shim::l2_norm(grad)?;
        match *self {
            Self::ClipNorm { max_norm } => {
                // 1e-6 as in torch.nn.utils.clip_grad_norm_.
                let factor = max_norm / (norm + 1e-6);
                if factor < 1.0 {
                    let _ = grad.mul_number_(factor)?;
                }
            }
            Self::ReplaceNonFinite { limit } => {
                let _ = grad.f_nan_to_num_(0.0, limit, -limit)?;
            }
            Self::Keep => {}
        }
        Ok(norm)
    }

    /// Whether the rule accepts a non-finite gradient, which is otherwise a failure.
    pub fn tolerates_non_finite(&self) -> bool {
        matches!(self, Self::ReplaceNonFinite { .. })
    }
}

/// The state of Adam for one flat buffer: moments and step count.
#[derive(Debug)]
pub struct Adam {
    config: AdamConfig,
    /// First moment, `[total]`, of the network's kind.
    pub m: Tensor,
    /// Second moment, `[total]`, of the network's kind.
    pub v: Tensor,
    /// Number of updates so far.
    pub steps: u64,
}

impl Adam {
    /// A fresh optimizer for `flat`.
    ///
    /// # Errors
    /// libtorch cannot allocate.
    pub fn new(config: AdamConfig, flat: &Tensor) -> Result<Self> {
        Ok(Self { config, m: flat.f_zeros_like()?, v: flat.f_zeros_like()?, steps: 0 })
    }

    /// An optimizer that continues with these moments after `steps` updates.
    pub fn restore(config: AdamConfig, m: Tensor, v: Tensor, steps: u64) -> Self {
        Self { config, m, v, steps }
    }

    /// One update of `flat` in place, with bias correction and without weight decay.
    ///
    /// # Shapes
    /// `flat` and `grad` are `[total]`, with the moments' device and kind.
    ///
    /// # Errors
    /// Shapes, kinds or devices that differ.
    pub fn step(&mut self, flat: &Tensor, grad: &Tensor, lr: f64) -> Result<()> {
        // The fused kernel does not check sizes.
        for (what, t) in [("parameters", flat), ("gradient", grad), ("second moment", &self.v)] {
            same_shape(what, t, &self.m)?;
        }
        let rates = AdamRates {
            step: self.steps + 1,
            lr,
            betas: (self.config.beta1, self.config.beta2),
            eps: self.config.eps,
        };
        shim::fused_adam(flat, grad, &self.m, &self.v, &rates)?;
        self.steps += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_equations_of_the_paper() {
        let config = AdamConfig::default();
        let flat = Tensor::from_slice(&[1f32, -2.0, 0.5]);
        let mut adam = Adam::new(config, &flat).unwrap();
        let (mut p, mut m, mut v) = ([1f64, -2.0, 0.5], [0f64; 3], [0f64; 3]);
        for i in 1..=5 {
            let g = [0.1 * i as f64, -3.0, 1e-4];
            let grad = Tensor::from_slice(&g.map(|x| x as f32));
            adam.step(&flat, &grad, 1e-2).unwrap();
            for k in 0..3 {
                m[k] = 0.9 * m[k] + 0.1 * g[k];
                v[k] = 0.999 * v[k] + 0.001 * g[k] * g[k];
                let (mh, vh) = (m[k] / (1.0 - 0.9f64.powi(i)), v[k] / (1.0 - 0.999f64.powi(i)));
                p[k] -= 1e-2 * mh / (vh.sqrt() + 1e-8);
            }
        }
        for (k, want) in p.iter().enumerate() {
            assert!((flat.double_value(&[k as i64]) - want).abs() < 1e-6, "element {k}");
        }
        assert_eq!(adam.steps, 5);
    }

    #[test]
    fn a_gradient_of_another_size_is_an_error() {
        let flat = Tensor::from_slice(&[1f32, 2.0]);
        let mut adam = Adam::new(AdamConfig::default(), &flat).unwrap();
        assert!(adam.step(&flat, &Tensor::from_slice(&[1f32, 2.0, 3.0]), 0.1).is_err());
        assert_eq!(adam.steps, 0);
    }

    #[test]
    fn gradient_rules() {
        let mut g = Tensor::from_slice(&[3f32, 4.0]);
        let norm = GradientRule::ClipNorm { max_norm: 1.0 }.apply(&mut g).unwrap();
        assert!((norm - 5.0).abs() < 1e-6);
        assert!((g.double_value(&[0]) - 0.6).abs() < 1e-6);
        let mut g = Tensor::from_slice(&[0.3f32, 0.4]);
        GradientRule::ClipNorm { max_norm: 1.0 }.apply(&mut g).unwrap();
        assert_eq!(g.double_value(&[1]), f64::from(0.4f32), "small gradients pass unchanged");
        let mut g = Tensor::from_slice(&[f32::NAN, f32::NEG_INFINITY, 2.0]);
        let norm = GradientRule::ReplaceNonFinite { limit: 1e5 }.apply(&mut g).unwrap();
        assert!(norm.is_nan());
        assert_eq!(Vec::<f32>::try_from(g).unwrap(), [0.0, -1e5, 2.0]);
    }
}
