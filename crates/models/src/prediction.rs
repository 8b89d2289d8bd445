//! What a network predicts, and how the clean image follows from it.
//!
//! Most are for variance preserving levels, with `x_t = alpha x0 + sigma eps` and `v = alpha eps - sigma x0` (arXiv 2202.00512).

use fewstep_schedules::NoiseLevel;
use fewstep_torch::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::levels::Levels;

/// Meaning of a network's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The clean image.
    #[default]
    X0,
    /// The noise: `x0 = (x_t - sigma eps) / alpha`.
    Eps,
    /// The velocity: `x0 = alpha x_t - sigma v`.
    V,
    /// Two heads, the clean image first, then the noise, combined by their own reliability:
    /// `x0 = sigma^2 x_head + alpha (x_t - sigma eps_head)`, which is `(1 - gamma) x_head + gamma x0(eps_head)`.
    X0AndEps,
    /// The direction of the straight line from image to noise, `eps - x0` (flow matching, arXiv 2210.02747):
    /// `x0 = x_t - t (eps - x0)` for `x_t = (1 - t) x0 + t eps`. Only networks on that line predict it.
    Flow,
}

impl Prediction {
    /// Heads of the network: output channels over image channels.
    pub fn heads(&self) -> i64 {
        if matches!(self, Self::X0AndEps) { 2 } else { 1 }
    }

    /// The factors of the state and of the network's image in the clean image, at a variance preserving level (of any scale
    /// for `Flow`): what [`Prediction::x0`] computes, in numbers. Of two heads, the first.
    pub(crate) fn one_head(self, NoiseLevel { alpha, sigma }: NoiseLevel) -> (f64, f64) {
        match self {
            Self::X0 => (0.0, 1.0),
            Self::Eps => (1.0 / alpha, -sigma / alpha),
            Self::V => (alpha, -sigma),
            Self::Flow => (1.0 / (alpha + sigma), -sigma / (alpha + sigma)),
            Self::X0AndEps => (alpha, sigma * sigma),
        }
    }

    /// The same with the factors of all heads.
    pub(crate) fn all_heads(self, level: NoiseLevel) -> (f64, Vec<f64>) {
        let (state, first) = self.one_head(level);
        let second = (self == Self::X0AndEps).then_some(-level.alpha * level.sigma);
        (state, std::iter::once(first).chain(second).collect())
    }

    /// The clean image from the network's output.
    ///
    /// # Shapes
    /// `x_t` f64 `[B, C, H, W]` at variance preserving levels `at` (of any scale for `Flow`); `out` f64 `[B, heads C, H, W]`.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn x0(&self, x_t: &Tensor, out: &Tensor, at: &Levels) -> Result<Tensor> {
        let device = x_t.device();
        let level = || at.columns(device, |l| [l.alpha, l.sigma]);
        Ok(match self {
            Self::X0 => out.shallow_clone(),
            Self::Eps => {
                let [alpha, sigma] = level()?;
                x_t.f_sub(&out.f_mul(&sigma)?)?.f_div(&alpha)?
            }
            Self::V => {
                let [alpha, sigma] = level()?;
                x_t.f_mul(&alpha)?.f_sub(&out.f_mul(&sigma)?)?
            }
            Self::Flow => {
                // A level (alpha, sigma) lies on the line at t = sigma / (alpha + sigma), after division by the sum.
                let [sum, t] = at.columns(device, |l| [l.alpha + l.sigma, l.sigma / (l.alpha + l.sigma)])?;
                x_t.f_div(&sum)?.f_sub(&out.f_mul(&t)?)?
            }
            Self::X0AndEps => {
                let heads = out.f_chunk(2, 1)?;
                let [alpha, sigma, variance] =
                    at.columns(device, |l| [l.alpha, l.sigma, l.sigma * l.sigma])?;
                let from_eps = x_t.f_sub(&heads[1].f_mul(&sigma)?)?.f_mul(&alpha)?;
                heads[0].f_mul(&variance)?.f_add(&from_eps)?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_schedules::NoiseLevel;
    use fewstep_torch::{Device, Kind};

    #[test]
    fn every_prediction_of_the_truth_gives_the_truth() {
        let opts = (Kind::Double, Device::Cpu);
        let at = Levels::new(vec![NoiseLevel::from_log_snr(3.0), NoiseLevel::from_log_snr(-5.0)]);
        let x0 = Tensor::arange(2 * 3 * 4, opts).view([2, 3, 2, 2]) * 0.1 - 1.0;
        let eps = (&x0 * 17.0).sin();
        let a = at.column(Device::Cpu, |l| l.alpha).unwrap();
        let s = at.column(Device::Cpu, |l| l.sigma).unwrap();
        let x_t = &a * &x0 + &s * &eps;
        let v = &a * &eps - &s * &x0;
        let cases = [
            (Prediction::X0, x0.shallow_clone()),
            (Prediction::Eps, eps.shallow_clone()),
            (Prediction::V, v),
            (Prediction::Flow, &eps - &x0),
            (Prediction::X0AndEps, Tensor::cat(&[&x0, &eps], 1)),
        ];
        for (prediction, out) in cases {
            let got = prediction.x0(&x_t, &out, &at).unwrap();
            let err = (got - &x0).abs().max().double_value(&[]);
            assert!(err < 1e-13, "{prediction:?}: {err}");
            let heads = out.chunk(prediction.heads(), 1);
            for (i, level) in at.iter().enumerate() {
                let (state, factors) = prediction.all_heads(level);
                assert_eq!(factors.len(), heads.len());
                let image = |t: &Tensor| t.get(i as i64);
                let sum = heads.iter().zip(factors).map(|(head, factor)| image(head) * factor);
                let got = sum.fold(image(&x_t) * state, |a, b| a + b);
                let err = (got - image(&x0)).abs().max().double_value(&[]);
                assert!(err < 1e-12, "{prediction:?} in numbers: {err}");
            }
            assert_eq!(out.size()[1], 3 * prediction.heads());
        }
    }
}
