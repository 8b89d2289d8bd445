//! One deterministic step between two noise levels, and its inverse.

use crate::error::Result;
use crate::grid::DirectionCheck;
use crate::level::NoiseLevel;

/// The DDIM step `x_s = a x_t + b x0_hat` from level `t` to a cleaner level `s`.
///
/// With `x_t = alpha_t x0 + sigma_t eps` and `eps` kept, `a = sigma_s / sigma_t` and `b = alpha_s - a alpha_t`. For
/// `alpha^2 + sigma^2 = 1` this is TRACT's delta (arXiv 2303.04248, section 2; DDIM arXiv 2010.02502), for `alpha = 1`
/// its variance exploding form. The same two factors give the inverse, from which distillation targets are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DdimStep {
    /// Factor `a` of `x_t`.
    pub a: f64,
    /// Factor `b` of `x0_hat`.
    pub b: f64,
}

impl DdimStep {
    /// The step from `from` to `to`. From noise alone (`alpha = 0`) the whole signal of `to` comes from `x0_hat`:
    /// `b = alpha_s`.
    ///
    /// # Errors
    /// `to` is not strictly less noisy than `from`.
    pub fn new(from: NoiseLevel, to: NoiseLevel) -> Result<Self> {
        DirectionCheck { from, to }.validate()?;
        let a = to.sigma / from.sigma;
        // (alpha_s sigma_t - alpha_t sigma_s) / sigma_t, one division: for neighbouring levels the two products nearly
        // cancel, and the inverse divides by the result.
        let b = (to.alpha * from.sigma - from.alpha * to.sigma) / from.sigma;
        Ok(Self { a, b })
    }

    /// The result of the step: `x_s = a x_t + b x0_hat`.
    pub fn apply(&self, x_t: f64, x0_hat: f64) -> f64 {
        self.a * x_t + self.b * x0_hat
    }

    /// The inverse: the `x0_hat` for which the step from `x_t` ends at `x_s`, `(x_s - a x_t) / b`.
    pub fn x0_that_lands_on(&self, x_t: f64, x_s: f64) -> f64 {
        (x_s - self.a * x_t) / self.b
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;
    use proptest::prelude::*;

    fn levels(t: f64, s: f64, ve: bool) -> (NoiseLevel, NoiseLevel) {
        let schedule = if ve { Schedule::karras() } else { Schedule::default() };
        (schedule.at(t), schedule.at(s))
    }

    #[test]
    fn matches_the_formulas_of_the_paper() {
        let (t, s) = levels(0.8, 0.3, false);
        let (gt, gs) = (t.gamma(), s.gamma());
        let step = DdimStep::new(t, s).unwrap();
        let root = f64::sqrt;
        assert!((step.a - root(1.0 - gs) / root(1.0 - gt)).abs() < 1e-14);
        let x0 = (root(gs * (1.0 - gt)) - root(gt * (1.0 - gs))) / root(1.0 - gt);
        assert!((step.b - x0).abs() < 1e-14);
        let (t, s) = levels(0.8, 0.3, true);
        let step = DdimStep::new(t, s).unwrap();
        assert!((step.b - (1.0 - s.sigma / t.sigma)).abs() < 1e-14);
    }

    #[test]
    fn a_step_towards_noise_is_refused() {
        let (t, s) = levels(0.8, 0.3, false);
        assert!(DdimStep::new(s, t).is_err());
        assert!(DdimStep::new(t, t).is_err());
    }

    #[test]
    fn a_step_may_start_at_noise_alone_and_not_end_there() {
        let (noise, cleaner) = (NoiseLevel { alpha: 0.0, sigma: 1.0 }, NoiseLevel { alpha: 0.6, sigma: 0.8 });
        let step = DdimStep::new(noise, cleaner).unwrap();
        assert_eq!((step.a, step.b), (0.8, 0.6));
        assert!((step.x0_that_lands_on(0.3, step.apply(0.3, -0.5)) + 0.5).abs() < 1e-15);
        assert!(DdimStep::new(NoiseLevel { alpha: 0.0, sigma: 2.0 }, noise).is_err());
        assert!(DdimStep::new(cleaner, noise).is_err());
        assert!(DdimStep::new(NoiseLevel { alpha: -0.1, sigma: 1.0 }, cleaner).is_err());
        assert!(DdimStep::new(NoiseLevel { alpha: 0.0, sigma: 0.0 }, cleaner).is_err());
    }

    proptest! {
        #[test]
        fn the_inverse_lands(t in 0.05f64..=1.0, f in 0.0f64..0.95, x in -3f64..3.0, d in -1f64..1.0, ve: bool) {
            let (from, to) = levels(t, t * f, ve);
            let step = DdimStep::new(from, to).unwrap();
            let back = step.x0_that_lands_on(x, step.apply(x, d));
            // The inverse divides by the step's own x0 factor; rounding grows by as much.
            prop_assert!((back - d).abs() < 1e-14 * (1.0 + x.abs()) / step.b);
        }

        #[test]
        fn two_steps_with_one_x0_are_one_step(t in 0.2f64..=1.0, x in -3f64..3.0, d in -1f64..1.0, ve: bool) {
            let (from, mid) = levels(t, t * 0.6, ve);
            let (_, to) = levels(t, t * 0.2, ve);
            let two = DdimStep::new(mid, to).unwrap().apply(DdimStep::new(from, mid).unwrap().apply(x, d), d);
            prop_assert!((two - DdimStep::new(from, to).unwrap().apply(x, d)).abs() < 1e-13);
        }
    }
}
