//! Noise levels of a batch, and the per-sample columns that tensor arithmetic needs.

use fewstep_schedules::NoiseLevel;
use fewstep_torch::{Device, Tensor};

use crate::error::{Error, Result};

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

    /// Several numbers of every level, as such columns; one copy to the device brings all.
    ///
    /// # Errors
    /// libtorch cannot allocate.
    pub fn columns<const N: usize>(
        &self,
        device: Device,
        f: impl Fn(NoiseLevel) -> [f64; N],
    ) -> Result<[Tensor; N]> {
        columns(device, self.iter().map(f))
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

/// Rows of host numbers as f64 columns `[B, 1, 1, 1]` on `device`, one per place in a row; one copy brings all.
///
/// # Errors
/// libtorch cannot allocate.
pub fn columns<const N: usize>(device: Device, rows: impl Iterator<Item = [f64; N]>) -> Result<[Tensor; N]> {
    let rows: Vec<[f64; N]> = rows.collect();
    let packed: Vec<f64> = (0..N).flat_map(|place| rows.iter().map(move |row| row[place])).collect();
    let packed =
        Tensor::f_from_slice(&packed)?.f_view([N as i64, rows.len() as i64, 1, 1, 1])?.f_to_device(device)?;
    let columns: Vec<Tensor> = packed.f_unbind(0)?;
    columns.try_into().map_err(|_| Error::Fault("as many columns as places"))
}
