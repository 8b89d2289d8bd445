//! A bias-corrected exponential moving average of a flat buffer (arXiv 2303.04248, section 3.2).

use std::num::NonZero;

use fewstep_schedules::bias_corrected_rate;
use tch::Tensor;

use crate::error::{Result, same_shape};
use crate::no_grad;
use crate::scalar::ScalarOps;

/// The average and the number of updates so far. The decay is an argument of each update: the plan decides it.
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

    /// One update: `ema <- (1 - a_i) ema + a_i phi`, with `a_i = (1 - decay) / (1 - decay^i)` for `i = 1, 2, ...`.
    ///
    /// # Errors
    /// `phi` has another shape, kind or device.
    pub fn update(&mut self, phi: &Tensor, decay: f64) -> Result<()> {
        same_shape("values to average", phi, &self.flat)?;
        let _guard = no_grad();
        let rate = bias_corrected_rate(decay, NonZero::<u64>::MIN.saturating_add(self.updates));
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
