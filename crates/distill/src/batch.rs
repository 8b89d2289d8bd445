//! What a step trains on.

use std::ops::Range;

use fewstep_random::Draws;
use fewstep_torch::{Device, Kind, Tensor};

use crate::error::{Error, Result};

/// Clean images, the noise drawn for them, and the names of all their other draws.
///
/// The loader makes it in f32 on the CPU; [`Batch::on`] brings it to where and how objectives compute.
#[derive(Debug)]
pub struct Batch {
    /// Clean images in `[-1, 1]`, `[B, C, H, W]`.
    pub x0: Tensor,
    /// Standard normal noise, `[B, C, H, W]`.
    pub noise: Tensor,
    /// Labels, i64 `[B]`; `None` for data without classes.
    pub labels: Option<Tensor>,
    /// Which samples of the run these are: an objective draws from here.
    pub draws: Draws,
}

impl Batch {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.x0.size().first().copied().unwrap_or(0) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Device of the images.
    pub fn device(&self) -> Device {
        self.x0.device()
    }

    /// The batch on a device, images and noise in f64. A copy from pinned memory is begun and not waited for.
    ///
    /// # Errors
    /// libtorch cannot allocate.
    pub fn on(&self, device: Device) -> Result<Self> {
        let there = |t: &Tensor| t.f_to_device_(device, t.kind(), true, false);
        let moved = |t: &Tensor| -> Result<Tensor> { Ok(there(t)?.f_to_kind(Kind::Double)?) };
        let labels = self.labels.as_ref().map(there).transpose()?;
        Ok(Self { x0: moved(&self.x0)?, noise: moved(&self.noise)?, labels, draws: self.draws.clone() })
    }

    /// The same in pinned memory, from which this GPU copies by itself.
    ///
    /// # Errors
    /// There is no such GPU, or no such memory is left.
    pub fn pinned(&self, device: Device) -> Result<Self> {
        let pinned = |t: &Tensor| t.f_pin_memory(device);
        let labels = self.labels.as_ref().map(pinned).transpose()?;
        Ok(Self { x0: pinned(&self.x0)?, noise: pinned(&self.noise)?, labels, draws: self.draws.clone() })
    }

    /// The images at these positions; tensors share storage.
    ///
    /// # Errors
    /// A range beyond the end, or not one draw per image.
    pub fn slice(&self, range: Range<usize>) -> Result<Self> {
        self.expect("samples", self.draws.len())?;
        if range.end > self.len() || range.start > range.end {
            return Err(Error::Range { start: range.start, end: range.end, images: self.len() });
        }
        let cut = |t: &Tensor| t.f_narrow(0, range.start as i64, range.len() as i64);
        Ok(Self {
            x0: cut(&self.x0)?,
            noise: cut(&self.noise)?,
            labels: self.labels.as_ref().map(cut).transpose()?,
            draws: self.draws.slice(range.clone()),
        })
    }

    /// `Err` unless there are as many of `what` as images.
    pub(crate) fn expect(&self, what: &'static str, got: usize) -> Result<()> {
        let expected = self.len();
        if got == expected { Ok(()) } else { Err(Error::Count { what, expected, got }) }
    }
}
