//! A bias-corrected exponential moving average of a flat buffer (arXiv 2303.04248, section 3.2).

use std::num::NonZero;

use tch::Tensor;

use crate::error::{Result, same_shape};
use crate::no_grad;
use crate::scalar::ScalarOps;

/// The rate `a_i = (1 - mu) / (1 - mu^i)` of update `i = 1, 2, ...` in `ema_i = (1 - a_i) ema_{i-1} + a_i phi_i`.
///
/// `mu = 0` copies, `a_1 = 1` for every `mu`: the start value is forgotten at the first update. `1 - mu^i` is formed by
/// `expm1`, so that a decay of 0.99999 keeps its digits.
fn bias_corrected_rate(decay: f64, update: NonZero<u64>) -> f64 {
    if decay <= 0.0 {
        return 1.0;
    }
    let i = update.get() as f64;
    (1.0 - decay) / -(i * decay.ln()).exp_m1()
}

/// The average and the number of updates that made it. The decay is given at each update: it belongs to the plan.
#[derive(Debug)]
pub struct Ema {
    /// The average, `[total]`, of the network's kind.
    pub flat: Tensor,
    /// Number of updates so far.
    pub updates: u64,
}

impl Ema {
    /// An average that starts as a copy of `flat`.
    ///
    /// # Errors
    /// libtorch cannot allocate.
    pub fn of(flat: &Tensor) -> Result<Self> {
        let _guard = no_grad();
        let mut copy = flat.f_empty_like()?;
        copy.f_copy_(flat)?;
        Ok(Self { flat: copy, updates: 0 })
    }

    /// The rate `a_i` of the next update.
    pub(crate) fn next_rate(&self, decay: f64) -> f64 {
        bias_corrected_rate(decay, NonZero::<u64>::MIN.saturating_add(self.updates))
    }

    /// One update: `ema <- (1 - a_i) ema + a_i phi`, with `a_i = (1 - decay) / (1 - decay^i)` for `i = 1, 2, ...`.
    ///
    /// # Errors
    /// `phi` has another shape, kind or device.
    pub fn update(&mut self, phi: &Tensor, decay: f64) -> Result<()> {
        same_shape("values to average", phi, &self.flat)?;
        let _guard = no_grad();
        let rate = self.next_rate(decay);
        if rate == 1.0 {
            // lerp with weight 1 may round; a copy must be exact.
            self.flat.f_copy_(phi)?;
        } else {
            let _ = self.flat.lerp_number_(phi, rate)?;
        }
        self.updates += 1;
        Ok(())
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
    fn the_first_update_forgets_the_start_and_decay_zero_copies() {
        let mut ema = Ema::of(&Tensor::from_slice(&[9f32, 9.0])).unwrap();
        let phi = Tensor::from_slice(&[0.1f32, -0.7]);
        ema.update(&phi, 0.999).unwrap();
        assert_eq!(ema.flat, phi);
        ema.update(&Tensor::from_slice(&[0.3f32, 0.3]), 0.0).unwrap();
        assert_eq!(ema.flat, Tensor::from_slice(&[0.3f32, 0.3]));
        assert!(ema.update(&Tensor::from_slice(&[0f32; 3]), 0.5).is_err());
        assert_eq!(ema.updates, 2);
    }

    #[test]
    fn an_average_owns_its_storage() {
        let phi = Tensor::from_slice(&[1f32]);
        let ema = Ema::of(&phi).unwrap();
        let _ = phi.shallow_clone().fill_(2.0);
        assert_eq!(ema.flat.double_value(&[0]), 1.0);
    }
}
