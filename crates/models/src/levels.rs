//! Noise levels of a batch, and the per-sample columns that tensor arithmetic needs.

use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Device, Tensor};

use crate::error::Result;

/// One noise level a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels(Vec<NoiseLevel>);

impl Levels {
    /// The levels of a batch.
    pub fn new(levels: Vec<NoiseLevel>) -> Self {
        Self(levels)
    }

    /// A batch of `n` samples at one level.
    pub fn uniform(level: NoiseLevel, n: usize) -> Self {
        Self(vec![level; n])
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The levels in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = NoiseLevel> + '_ {
        self.0.iter().copied()
    }

    /// `f` of every level, as an f64 column that broadcasts over images.
    ///
    /// # Shapes
    /// `[B, 1, 1, 1]`.
    ///
    /// # Errors
    /// libtorch cannot allocate.
    pub fn column(&self, device: Device, f: impl Fn(NoiseLevel) -> f64) -> Result<Tensor> {
        column(device, self.iter().map(f))
    }
}

/// Host numbers as an f64 column `[B, 1, 1, 1]` on `device`.
///
/// # Errors
/// libtorch cannot allocate.
pub fn column(device: Device, values: impl Iterator<Item = f64>) -> Result<Tensor> {
    let values: Vec<f64> = values.collect();
    Ok(Tensor::f_from_slice(&values)?.f_view([-1, 1, 1, 1])?.f_to_device(device)?)
}
