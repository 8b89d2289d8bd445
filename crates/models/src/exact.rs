//! Denoisers of distributions whose posterior mean is known in closed form, for tests and examples.

use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Kind, Tensor};

use crate::denoiser::{Denoiser, check_batch};
use crate::error::Result;
use crate::levels::Levels;

/// All data is one point: the answer is that point, whatever the noise.
#[derive(Debug)]
pub struct Point {
    /// The point, f64, broadcastable to `[B, C, H, W]`.
    pub mean: Tensor,
}

impl Denoiser for Point {
    fn denoise(&self, x_t: &Tensor, at: &Levels) -> Result<Tensor> {
        check_batch(x_t, at)?;
        Ok(self.mean.f_expand_as(x_t)?)
    }
}

/// Independent Gaussian pixels: `x0 ~ N(mean, std^2)`.
///
/// `E[x0 | x_t] = mean + alpha std^2 / (alpha^2 std^2 + sigma^2) (x_t - alpha mean)`.
#[derive(Debug)]
pub struct Gaussian {
    /// Mean, f64, broadcastable to `[B, C, H, W]`.
    pub mean: Tensor,
    /// Standard deviation of every pixel.
    pub std: f64,
}

impl Gaussian {
    /// Standard deviation of `x_t` at `level`.
    fn spread(&self, level: NoiseLevel) -> f64 {
        (level.alpha * self.std).hypot(level.sigma)
    }

    /// Where the probability-flow ODE takes `x_t` from one level to another: the limit of ever finer DDIM steps.
    ///
    /// `(x - alpha mean) / sqrt(alpha^2 std^2 + sigma^2)` is constant along it.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn flow(&self, x_t: &Tensor, from: &Levels, to: &Levels) -> Result<Tensor> {
        let device = x_t.device();
        let centre =
            |at: &Levels| -> Result<Tensor> { Ok(at.column(device, |l| l.alpha)?.f_mul(&self.mean)?) };
        let ratio =
            to.column(device, |l| self.spread(l))?.f_div(&from.column(device, |l| self.spread(l))?)?;
        Ok(x_t.f_sub(&centre(from)?)?.f_mul(&ratio)?.f_add(&centre(to)?)?)
    }
}

impl Denoiser for Gaussian {
    fn denoise(&self, x_t: &Tensor, at: &Levels) -> Result<Tensor> {
        check_batch(x_t, at)?;
        let device = x_t.device();
        let gain = at.column(device, |l| l.alpha * self.std * self.std / self.spread(l).powi(2))?;
        let centre = at.column(device, |l| l.alpha)?.f_mul(&self.mean)?;
        Ok(x_t.f_sub(&centre)?.f_mul(&gain)?.f_add(&self.mean)?)
    }
}

/// A mixture of Gaussians of equal weight and one standard deviation.
///
/// `E[x0 | x_t]` is the components' answers averaged by their posterior probability,
/// `softmax_k(-|x_t - alpha mean_k|^2 / (2 (alpha^2 std^2 + sigma^2)))`.
#[derive(Debug)]
pub struct Mixture {
    /// Means, f64 `[K, C, H, W]`.
    pub means: Tensor,
    /// Standard deviation of every component.
    pub std: f64,
}

impl Denoiser for Mixture {
    fn denoise(&self, x_t: &Tensor, at: &Levels) -> Result<Tensor> {
        check_batch(x_t, at)?;
        let device = x_t.device();
        let spread2 = |l: NoiseLevel| (l.alpha * self.std).powi(2) + l.sigma * l.sigma;
        let alpha = at.column(device, |l| l.alpha)?.f_unsqueeze(1)?;
        let inverse = at.column(device, |l| -0.5 / spread2(l))?.f_view([-1, 1])?;
        let gain = at.column(device, |l| l.alpha * self.std * self.std / spread2(l))?.f_unsqueeze(1)?;
        let means = self.means.f_unsqueeze(0)?;
        // [B, K, C, H, W]: distance of every sample to every component.
        let offset = x_t.f_unsqueeze(1)?.f_sub(&means.f_mul(&alpha)?)?;
        let square = offset.f_mul(&offset)?.f_flatten(2, -1)?.f_sum_dim_intlist(-1, false, Kind::Double)?;
        let share =
            square.f_mul(&inverse)?.f_softmax(1, Kind::Double)?.f_view([at.len() as i64, -1, 1, 1, 1])?;
        let answers = offset.f_mul(&gain)?.f_add(&means)?;
        Ok(answers.f_mul(&share)?.f_sum_dim_intlist(1, false, Kind::Double)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_torch::Device;

    fn image(values: &[f64]) -> Tensor {
        Tensor::from_slice(values).view([1, 1, 1, -1])
    }

    #[test]
    fn a_mixture_of_one_component_is_a_gaussian() {
        let mean = image(&[0.3, -0.7]);
        let at = Levels::uniform(NoiseLevel::from_log_snr(0.4), 3);
        let x_t = Tensor::arange(6, (Kind::Double, Device::Cpu)).view([3, 1, 1, 2]) * 0.3 - 0.8;
        let gaussian = Gaussian { mean: mean.copy(), std: 0.4 }.denoise(&x_t, &at).unwrap();
        let mixture = Mixture { means: mean, std: 0.4 }.denoise(&x_t, &at).unwrap();
        assert!((gaussian - mixture).abs().max().double_value(&[]) < 1e-14);
    }

    #[test]
    fn a_gaussian_answer_minimises_the_squared_error() {
        // Monte-Carlo free check: the posterior mean of a jointly Gaussian pair is the regression of x0 on x_t.
        let level = NoiseLevel { alpha: 0.8, sigma: 0.6 };
        let g = Gaussian { mean: image(&[0.5]), std: 2.0 };
        let at = Levels::uniform(level, 1);
        let slope = level.alpha * 4.0 / (level.alpha.powi(2) * 4.0 + level.sigma.powi(2));
        let got = g.denoise(&image(&[1.7]), &at).unwrap().double_value(&[0, 0, 0, 0]);
        assert!((got - (0.5 + slope * (1.7 - 0.8 * 0.5))).abs() < 1e-14);
    }

    #[test]
    fn symmetric_mixture_answers_zero_in_the_middle_and_a_mean_far_out() {
        let m = Mixture { means: Tensor::from_slice(&[1.0, -1.0]).view([2, 1, 1, 1]), std: 0.0 };
        let at = Levels::uniform(NoiseLevel { alpha: 1.0, sigma: 0.2 }, 2);
        let got = m.denoise(&Tensor::from_slice(&[0.0, 1.1]).view([2, 1, 1, 1]), &at).unwrap();
        assert!(got.double_value(&[0, 0, 0, 0]).abs() < 1e-14);
        assert!((got.double_value(&[1, 0, 0, 0]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_batch_without_a_level_for_each_sample_is_refused() {
        let p = Point { mean: image(&[0.0]) };
        let at = Levels::uniform(NoiseLevel { alpha: 1.0, sigma: 1.0 }, 2);
        assert!(p.denoise(&image(&[1.0]), &at).is_err());
    }
}
