//! The denoising objective (arXiv 2006.11239, in the `x0` form of arXiv 2202.00512): how teachers are made.

use fewstep_models::Levels;
use fewstep_samplers::diffuse;
use fewstep_schedules::{NoiseLevel, Schedule, Weighting};
use fewstep_torch::no_grad;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::error::Result;
use crate::target::{Reduction, Target};

/// At which noise a teacher is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum NoiseDraw {
    /// Time uniform in `(0, 1]` on the schedule.
    #[default]
    UniformTime,
    /// Variance exploding noise with `ln sigma ~ N(mean, std^2)` (EDM, arXiv 2206.00364: -1.2 and 1.2).
    LogNormal {
        /// Mean of `ln sigma`.
        mean: f64,
        /// Standard deviation of `ln sigma`.
        std: f64,
    },
}

/// Options of the denoising objective.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DenoisingConfig {
    /// At which noise.
    pub noise: NoiseDraw,
    /// Weight of the squared error in `x0`.
    pub weighting: Weighting,
    /// Reduction over an image.
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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Denoising {
    /// Noise levels by time.
    pub schedule: Schedule,
    /// Options.
    pub config: DenoisingConfig,
}

impl Denoising {
    /// The level for a uniform draw in `(0, 1]` and a standard normal one, of which it uses one.
    pub(crate) fn level(&self, uniform: f64, normal: f64) -> NoiseLevel {
        match self.config.noise {
            NoiseDraw::UniformTime => self.schedule.at(uniform),
            NoiseDraw::LogNormal { mean, std } => NoiseLevel::from_sigma((mean + std * normal).exp()),
        }
    }

    /// The clean image is the target at the drawn `levels`.
    ///
    /// # Errors
    /// Not one level for each image, or libtorch fails.
    pub fn target(&self, batch: &Batch, levels: &[NoiseLevel]) -> Result<Target> {
        batch.expect("levels", levels.len())?;
        let _guard = no_grad();
        let at = Levels::new(levels.to_vec());
        let x_t = diffuse(&batch.x0, &batch.noise, &at)?;
        Ok(Target { x_t, at, x0: batch.x0.shallow_clone() })
    }
}
