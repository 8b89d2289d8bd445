//! The affine form in which every preconditioned network answers: `x0_hat = c_skip x + c_out F(c_in x, time)`.
//!
//! Coefficients are functions of the noise level, f64 on the host; a batch of them is one copy to the device.

use fewstep_torch::{Device, Tensor};

use crate::error::Result;
use crate::levels::columns;

/// The coefficients at one noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Coefficients {
    /// Factor of the state in the answer.
    pub(crate) c_skip: f64,
    /// Factor of the network's output in the answer.
    pub(crate) c_out: f64,
    /// Factor of the state at the network's door.
    pub(crate) c_in: f64,
    /// What the network is told about the noise level.
    pub(crate) time: f64,
}

/// Coefficients of a batch, f64.
#[derive(Debug)]
pub(crate) struct Columns {
    /// `[B, 1, 1, 1]`.
    pub(crate) c_skip: Tensor,
    /// `[B, 1, 1, 1]`.
    pub(crate) c_out: Tensor,
    /// `[B, 1, 1, 1]`.
    pub(crate) c_in: Tensor,
    /// `[B]`.
    pub(crate) time: Tensor,
}

impl Columns {
    /// The coefficients of a batch on `device`.
    pub(crate) fn of(all: &[Coefficients], device: Device) -> Result<Self> {
        let rows = all.iter().map(|c| [c.c_skip, c.c_out, c.c_in, c.time]);
        let [c_skip, c_out, c_in, time] = columns(device, rows)?;
        Ok(Self { c_skip, c_out, c_in, time: time.f_view([-1])? })
    }

    /// The clean image from the state and the network's output, all f64 `[B, C, H, W]`.
    pub(crate) fn answer(&self, x: &Tensor, out: &Tensor) -> Result<Tensor> {
        Ok(x.f_mul(&self.c_skip)?.f_add(&out.f_mul(&self.c_out)?)?)
    }
}
