//! Streaming count, mean and scatter of feature rows in f64, merged exactly (Chan, Golub and LeVeque 1983,
//! eq. 2.1).
//!
//! Each batch is centred on its own mean before it is squared, and merged with the previous rows by
//!
//! ```text
//! delta = mean_b - mean_a
//! mean  = mean_a + delta n_b / n
//! S     = S_a + S_b + delta delta^T n_a n_b / n
//! ```
//!
//! which subtracts no large numbers from each other. Shards of a stream merge in the same way.

use crate::error::{During, Error, Result};
use crate::gaussian::Gaussian;
use crate::rows::{rows_f64, shape_of, values_f64};
use fewstep_torch::ScalarOps;
use ndarray::{Array1, Array2};
use tch::{Device, Kind, Tensor};

/// Count, mean `[d]` and scatter `[d, d]` (sum of outer products of centred rows), in f64 on one device.
#[derive(Debug)]
pub struct Moments {
    width: usize,
    device: Device,
    count: u64,
    mean: Tensor,
    scatter: Tensor,
}

impl Moments {
    /// No rows yet, of `width` features each; the sums are on `device`.
    ///
    /// # Errors
    /// When `width` is zero or the device runs out of memory.
    pub fn new(width: usize, device: Device) -> Result<Self> {
        const OPERATION: &str = "Moments::new";
        if width == 0 {
            let (expected, got) = ("a width above 0".to_owned(), "0".to_owned());
            return Err(Error::Input { operation: OPERATION, expected, got });
        }
        let d = width as i64;
        let mean = Tensor::f_zeros([d], (Kind::Double, device)).during(OPERATION)?;
        let scatter = Tensor::f_zeros([d, d], (Kind::Double, device)).during(OPERATION)?;
        Ok(Self { width, device, count: 0, mean, scatter })
    }

    /// Moments restored from [`Moments::count`] and [`Moments::gaussian`], on `device`.
    ///
    /// # Errors
    /// When there are fewer than two rows, or libtorch fails.
    pub fn from_parts(count: u64, gaussian: &Gaussian, device: Device) -> Result<Self> {
        const OPERATION: &str = "Moments::from_parts";
        if count < 2 {
            return Err(Error::TooFew { operation: OPERATION, expected: 2, got: count });
        }
        let on = |t: std::result::Result<Tensor, tch::TchError>| {
            t.and_then(|t| t.f_to_device(device)).during(OPERATION)
        };
        let mean = on(Tensor::try_from(gaussian.mean()))?;
        let scatter = on(Tensor::try_from(gaussian.covariance() * (count - 1) as f64))?;
        Ok(Self { width: gaussian.width(), device, count, mean, scatter })
    }

    /// Adds a batch of rows.
    ///
    /// # Shapes
    /// `rows [n, d]`, any real kind and device; `n` may be 0.
    ///
    /// # Errors
    ///
    /// Wrong shape; a non-finite feature, named by its row in the whole stream. The moments are then unchanged.
    pub fn push(&mut self, rows: &Tensor) -> Result<()> {
        const OPERATION: &str = "Moments::push";
        let rows = rows_f64(OPERATION, rows, Some(self.width), self.count, self.device)?;
        let n = shape_of(OPERATION, &rows)?[0];
        if n == 0 {
            return Ok(());
        }
        let mean = rows.f_mean_dim([0i64].as_slice(), false, Kind::Double).during(OPERATION)?;
        let centred = rows.f_sub(&mean).during(OPERATION)?;
        let transposed = centred.f_tr().during(OPERATION)?;
        let _ = self.scatter.f_addmm_(&transposed, &centred).during(OPERATION)?;
        self.join(OPERATION, n as u64, &mean)
    }

    /// Adds rows from a slice, `[n * d]` in row-major order.
    ///
    /// # Errors
    /// As [`Moments::push`]; also when the slice ends inside a row.
    pub fn push_rows(&mut self, rows: &[f32]) -> Result<()> {
        const OPERATION: &str = "Moments::push_rows";
        if !rows.len().is_multiple_of(self.width) {
            let expected = format!("whole rows of {}", self.width);
            return Err(Error::Input {
                operation: OPERATION,
                expected,
                got: format!("{} values", rows.len()),
            });
        }
        let tensor = Tensor::f_from_slice(rows).and_then(|t| t.f_view([-1, self.width as i64]));
        self.push(&tensor.during(OPERATION)?)
    }

    /// Adds the rows of `other`, as if they had been pushed here.
    ///
    /// # Errors
    /// When the widths differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        const OPERATION: &str = "Moments::merge";
        if self.width != other.width {
            let (expected, got) = (format!("width {}", self.width), format!("width {}", other.width));
            return Err(Error::Input { operation: OPERATION, expected, got });
        }
        if other.count == 0 {
            return Ok(());
        }
        let scatter = other.scatter.f_to_device(self.device).during(OPERATION)?;
        let mean = other.mean.f_to_device(self.device).during(OPERATION)?;
        let _ = self.scatter.f_add_(&scatter).during(OPERATION)?;
        self.join(OPERATION, other.count, &mean)
    }

    /// Updates count and mean, and adds the scatter between the two means.
    fn join(&mut self, operation: &'static str, n_b: u64, mean_b: &Tensor) -> Result<()> {
        let (n_a, n) = (self.count as f64, (self.count + n_b) as f64);
        let n_b_share = n_b as f64 / n;
        let delta = mean_b.f_sub(&self.mean).during(operation)?;
        let column = delta.f_unsqueeze(1).during(operation)?;
        let row = delta.mul_number(n_a * n_b_share).and_then(|t| t.f_unsqueeze(0)).during(operation)?;
        let _ = self.scatter.f_addmm_(&column, &row).during(operation)?;
        let step = delta.mul_number(n_b_share).during(operation)?;
        let _ = self.mean.f_add_(&step).during(operation)?;
        self.count += n_b;
        Ok(())
    }

    /// Features per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean of the rows, `[d]`.
    ///
    /// # Errors
    /// When there are no rows.
    pub fn mean(&self) -> Result<Array1<f64>> {
        const OPERATION: &str = "Moments::mean";
        if self.count == 0 {
            return Err(Error::TooFew { operation: OPERATION, expected: 1, got: 0 });
        }
        Ok(Array1::from_vec(values_f64(OPERATION, &self.mean)?))
    }

    /// Covariance of the rows with the divisor n - 1, `[d, d]`, exactly symmetric.
    ///
    /// # Errors
    /// When there are fewer than two rows.
    pub fn covariance(&self) -> Result<Array2<f64>> {
        const OPERATION: &str = "Moments::covariance";
        if self.count < 2 {
            return Err(Error::TooFew { operation: OPERATION, expected: 2, got: self.count });
        }
        let values = values_f64(OPERATION, &self.scatter)?;
        let scatter = Array2::from_shape_vec((self.width, self.width), values).map_err(|e| {
            let expected = format!("{0} x {0} values", self.width);
            Error::Input { operation: OPERATION, expected, got: e.to_string() }
        })?;
        Ok((&scatter + &scatter.t()) * (0.5 / (self.count - 1) as f64))
    }

    /// Mean and covariance together.
    ///
    /// # Errors
    /// When there are fewer than two rows.
    pub fn gaussian(&self) -> Result<Gaussian> {
        Gaussian::new(self.mean()?, self.covariance()?)
    }
}

#[cfg(test)]
mod tests;
