//! The affine form in which every preconditioned network answers: `x0_hat = c_skip x + c_out F(c_in x, time)`.
//!
//! Coefficients are functions of the noise level, f64 on the host; a batch of them is one copy to the device.

use fewstep_torch::{Device, Tensor};

use crate::error::Result;

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
        let rows: [fn(&Coefficients) -> f64; 4] = [|c| c.c_skip, |c| c.c_out, |c| c.c_in, |c| c.time];
        let values: Vec<f64> = rows.iter().flat_map(|row| all.iter().map(row)).collect();
        let n = all.len() as i64;
        let packed = Tensor::f_from_slice(&values)?.f_view([4, n])?.f_to_device(device)?;
        let row = |i: i64| packed.f_select(0, i);
        let column = |i: i64| row(i)?.f_view([n, 1, 1, 1]);
        Ok(Self { c_skip: column(0)?, c_out: column(1)?, c_in: column(2)?, time: row(3)? })
    }

    /// The clean image from the state and the network's output, all f64 `[B, C, H, W]`.
    pub(crate) fn answer(&self, x: &Tensor, out: &Tensor) -> Result<Tensor> {
        Ok(x.f_mul(&self.c_skip)?.f_add(&out.f_mul(&self.c_out)?)?)
    }
}
