//! The denoising objective (arXiv 2006.11239, in the `x0` form of arXiv 2202.00512): how teachers are made.

use fewstep_models::Levels;
use fewstep_samplers::diffuse;
use fewstep_schedules::{Schedule, Weighting};
use fewstep_torch::no_grad;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::error::Result;
use crate::target::{Reduction, Target};

/// Options of the denoising objective.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DenoisingConfig {
    /// Weight of the squared error in `x0`.
    pub weighting: Weighting,
    /// Reduction over an image.
    pub reduction: Reduction,
}

impl Default for DenoisingConfig {
    /// Progressive distillation's: truncated SNR, summed.
    fn default() -> Self {
        Self { weighting: Weighting::TruncatedSnr, reduction: Reduction::Sum }
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
    /// The clean image is the target at the drawn `times`, each in `[0, 1]`.
    ///
    /// # Errors
    /// Not one time for each image, or libtorch fails.
    pub fn target(&self, batch: &Batch, times: &[f64]) -> Result<Target> {
        batch.expect("times", times.len())?;
        let _guard = no_grad();
        let at = Levels::new(times.iter().map(|&t| self.schedule.at(t)).collect());
        let x_t = diffuse(&batch.x0, &batch.noise, &at)?;
        Ok(Target { x_t, at, x0: batch.x0.shallow_clone() })
    }
}
