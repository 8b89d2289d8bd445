//! A regression target for the student, and the loss.

use fewstep_models::{Denoiser, Levels};
use fewstep_schedules::Weighting;
use fewstep_torch::{Kind, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// How the squared error of one image becomes one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Summed over channels and pixels (TRACT, VP).
    #[default]
    Sum,
    /// Averaged over channels and pixels (EDM).
    Mean,
}

/// What the student is asked and what it should answer. It carries no gradient.
#[derive(Debug)]
pub struct Target {
    /// States shown to the student, f64 `[B, C, H, W]`.
    pub x_t: Tensor,
    /// Their noise levels.
    pub at: Levels,
    /// The clean images it should answer with, f64 `[B, C, H, W]`.
    pub x0: Tensor,
}

impl Target {
    /// `w(level) |student(x_t) - x0|^2` of every image; the gradient flows to the student.
    ///
    /// # Shapes
    /// The result is f64 `[B]`. The objective's value is its mean over the whole batch.
    ///
    /// # Errors
    /// The student fails.
    pub fn losses(
        &self,
        student: &dyn Denoiser,
        labels: Option<&Tensor>,
        weighting: Weighting,
        reduction: Reduction,
    ) -> Result<Tensor> {
        let error = student.denoise(&self.x_t, &self.at, labels)?.f_sub(&self.x0)?;
        let square = error.f_mul(&error)?.f_flatten(1, -1)?;
        let per_image = match reduction {
            Reduction::Sum => square.f_sum_dim_intlist(1, false, Kind::Double)?,
            Reduction::Mean => square.f_mean_dim(1, false, Kind::Double)?,
        };
        let weight = self.at.column(self.x_t.device(), |l| weighting.at(l))?.f_view([-1])?;
        Ok(per_image.f_mul(&weight)?)
    }
}
