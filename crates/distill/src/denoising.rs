//! The denoising objective (arXiv 2006.11239, in the `x0` form of arXiv 2202.00512): how teachers are made.

use std::sync::Arc;

use fewstep_models::Levels;
use fewstep_random::{Draws, Stream};
use fewstep_samplers::diffuse;
use fewstep_schedules::{NoiseLevel, NoiseSchedule, Weighting};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::error::Result;
use crate::objective::{Asks, Objective, Teachers};
use crate::target::{Reduction, Target};

/// At which noise a teacher is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum NoiseDraw {
    /// Time uniform in `(0, 1]` on the schedule.
    #[default]
    UniformTime,
    /// Variance exploding noise with `ln sigma ~ N(mean, std^2)` (EDM, arXiv 2206.00364: -1.2 and 1.2).
    LogNormal {
        /// Mean of `ln sigma`.
        #[schemars(range(min = -50, max = 50))]
        mean: f64,
        /// Standard deviation of `ln sigma`.
        #[schemars(range(min = 0, max = 10))]
        std: f64,
    },
}

/// Options of the denoising objective.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DenoisingConfig {
    /// At which noise the teacher is trained.
    pub noise: NoiseDraw,
    /// Weight of the squared error in the clean image `x0`.
    pub weighting: Weighting,
    /// How the squared error of one image becomes one number.
    pub reduction: Reduction,
}

impl NoiseDraw {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the one that is out of range.
    pub fn validate(&self) -> Result<()> {
        let Self::LogNormal { mean, std } = *self else { return Ok(()) };
        // Beyond e^50 nothing is left of any image.
        for (name, got, ok, expected) in [
            ("mean", mean, mean.abs() <= 50.0, "from -50 to 50"),
            ("std", std, (0.0..=10.0).contains(&std), "from 0 to 10"),
        ] {
            if !ok {
                return Err(fewstep_schedules::Error::OutOfRange { name, got, expected }.into());
            }
        }
        Ok(())
    }
}

impl Default for DenoisingConfig {
    /// Progressive distillation's: truncated SNR, summed.
    fn default() -> Self {
        let (weighting, reduction) = (Weighting::TruncatedSnr, Reduction::Sum);
        Self { noise: NoiseDraw::UniformTime, weighting, reduction }
    }
}

impl DenoisingConfig {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the one that is out of range.
    pub fn validate(&self) -> Result<()> {
        self.weighting.validate()?;
        self.noise.validate()
    }

    /// The options of EDM's code (arXiv 2206.00364): log-normal noise, its weight, the mean over pixels.
    pub fn edm(sigma_data: f64) -> Self {
        Self {
            noise: NoiseDraw::LogNormal { mean: -1.2, std: 1.2 },
            weighting: Weighting::Edm { sigma_data },
            reduction: Reduction::Mean,
        }
    }
}

/// The denoising objective on a schedule.
#[derive(Clone, Debug)]
pub struct Denoising {
    schedule: Arc<dyn NoiseSchedule>,
    config: DenoisingConfig,
}

impl Denoising {
    /// The objective on `schedule`.
    ///
    /// # Errors
    /// Options or parameters of the schedule that are out of range.
    pub fn new(schedule: impl NoiseSchedule + 'static, config: DenoisingConfig) -> Result<Self> {
        let schedule = schedule.prepare()?;
        config.validate()?;
        Ok(Self { schedule, config })
    }

    /// The noise level of each sample.
    pub fn draw(&self, draws: &Draws) -> Vec<NoiseLevel> {
        draws.map(Stream::Time, |key, n| match self.config.noise {
            // In (0, 1]: at time 0 some schedules have no noise at all.
            NoiseDraw::UniformTime => self.schedule.at(1.0 - key.unit(n)),
            NoiseDraw::LogNormal { mean, std } => {
                let normal = f64::from(key.normals(&[n], 1)[0]);
                NoiseLevel::from_sigma((mean + std * normal).exp())
            }
        })
    }
}

impl Objective for Denoising {
    fn asks(&self) -> Asks {
        Asks::default()
    }

    /// The clean image is the target.
    fn target(&self, _: &Teachers<'_>, batch: &Batch) -> Result<Target> {
        let at = Levels::new(self.draw(&batch.draws));
        batch.expect("samples", at.len())?;
        let x_t = diffuse(&batch.x0, &batch.noise, &at)?;
        let weights = at.iter().map(|level| self.config.weighting.at(level)).collect();
        Ok(Target { x_t, at, x0: batch.x0.shallow_clone(), weights, reduction: self.config.reduction })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_schedules::{BetaTable, Schedule};

    #[test]
    fn levels_follow_the_schedule_or_the_log_normal() {
        let draws = Draws::new(1, 0, (0..4000).collect());
        let draw = |noise| {
            let config = DenoisingConfig { noise, ..DenoisingConfig::default() };
            let schedule = Schedule::LinearBeta { beta_min: 0.1, beta_max: 20.0 };
            Denoising::new(schedule, config).unwrap().draw(&draws)
        };
        // Time is never 0, where this schedule has no noise at all.
        assert!(draw(NoiseDraw::UniformTime).iter().all(|l| l.sigma > 0.0 && l.sigma < 1.0));
        let logs: Vec<f64> =
            draw(NoiseDraw::LogNormal { mean: -1.2, std: 1.2 }).iter().map(|l| l.sigma.ln()).collect();
        let mean = logs.iter().sum::<f64>() / 4000.0;
        let std = (logs.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 4000.0).sqrt();
        // Standard errors: 1.2 / sqrt(4000) = 0.019 and 0.013; five of each.
        assert!((mean + 1.2).abs() < 0.095 && (std - 1.2).abs() < 0.067, "{mean} {std}");
    }

    #[test]
    fn every_timestep_of_a_table_is_drawn_as_often() {
        let table = BetaTable { timesteps: 10, ..BetaTable::default() };
        let levels = table.levels().unwrap();
        let denoising = Denoising::new(Schedule::Betas(table), DenoisingConfig::default()).unwrap();
        let mut counts = [0; 10];
        for level in denoising.draw(&Draws::new(1, 0, (0..4000).collect())) {
            counts[levels.iter().position(|&l| l == level).unwrap()] += 1;
        }
        // 400 each; the standard deviation is sqrt(4000 0.1 0.9) = 19, five of it.
        assert!(counts.iter().all(|n| (305..=495).contains(n)), "{counts:?}");
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let config = DenoisingConfig::edm(-0.5);
        assert!(Denoising::new(Schedule::default(), config).unwrap_err().to_string().contains("sigma_data"));
    }
}
