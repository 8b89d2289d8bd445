//! A regression target for the student, and the loss.

use fewstep_models::{Denoiser, Levels};
use fewstep_torch::{Kind, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How the squared error of one image becomes one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Summed over channels and pixels (TRACT, VP).
    #[default]
    Sum,
    /// Averaged over channels and pixels (EDM).
    Mean,
}

/// What the student is asked, what it should answer, and how much an error counts. It carries no gradient.
#[derive(Debug)]
pub struct Target {
    /// States shown to the student, f64 `[B, C, H, W]`.
    pub x_t: Tensor,
    /// Their noise levels.
    pub at: Levels,
    /// The clean images it should answer with, f64 `[B, C, H, W]`.
    pub x0: Tensor,
    /// Weight of each image's squared error.
    pub weights: Vec<f64>,
    /// How the squared error of an image becomes one number.
    pub reduction: Reduction,
}

impl Target {
    /// `weight |student(x_t) - x0|^2` of every image; the gradient flows to the student.
    ///
    /// # Shapes
    /// The result is f64 `[B]`.
    ///
    /// # Errors
    /// The student fails, or there is not one weight per image.
    pub fn losses(&self, student: &dyn Denoiser) -> Result<Tensor> {
        if self.weights.len() != self.at.len() {
            let (expected, got) = (self.at.len(), self.weights.len());
            return Err(Error::Count { what: "weights", expected, got });
        }
        let error = student.denoise(&self.x_t, &self.at)?.f_sub(&self.x0)?;
        let square = error.f_mul(&error)?.f_flatten(1, -1)?;
        let per_image = match self.reduction {
            Reduction::Sum => square.f_sum_dim_intlist(1, false, Kind::Double)?,
            Reduction::Mean => square.f_mean_dim(1, false, Kind::Double)?,
        };
        let weights = Tensor::f_from_slice(&self.weights)?.f_to_device(self.x_t.device())?;
        Ok(per_image.f_mul(&weights)?)
    }
}
