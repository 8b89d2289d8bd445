//! A Gaussian as plain arrays: computed from moments, stored in reference files (`mu`, `sigma`), and compared by the
//! Frechet distance.

use crate::error::{Error, Result};
use ndarray::{Array1, Array2, Axis};

/// Tolerance for the asymmetry of a covariance, relative to its largest entry: covariances stored in f32 are not
/// exactly symmetric.
const ASYMMETRY: f64 = 1e-6;

/// Mean and covariance, finite and symmetric.
#[derive(Debug, Clone, PartialEq)]
pub struct Gaussian {
    mean: Array1<f64>,
    covariance: Array2<f64>,
}

impl Gaussian {
    /// A Gaussian from a mean `[d]` and a covariance `[d, d]`, which is made exactly symmetric.
    ///
    /// # Errors
    ///
    /// When shapes disagree, values are not finite, a variance is negative, or the matrix is not symmetric to 1e-6
    /// of its largest entry.
    pub fn new(mean: Array1<f64>, covariance: Array2<f64>) -> Result<Self> {
        const OPERATION: &str = "Gaussian";
        let d = mean.len();
        let invalid = |expected: String, got: String| Error::Input { operation: OPERATION, expected, got };
        if d == 0 || covariance.dim() != (d, d) {
            let got = format!("mean [{d}], covariance {:?}", covariance.dim());
            return Err(invalid("mean [d] and covariance [d, d] with d > 0".to_owned(), got));
        }
        if let Some(column) = mean.iter().position(|v| !v.is_finite()) {
            let count = mean.iter().filter(|v| !v.is_finite()).count() as u64;
            return Err(Error::NonFinite {
                operation: "Gaussian mean",
                row: 0,
                column: column as u64,
                count,
            });
        }
        if let Some(((row, column), _)) = covariance.indexed_iter().find(|(_, v)| !v.is_finite()) {
            let count = covariance.iter().filter(|v| !v.is_finite()).count() as u64;
            let (row, column) = (row as u64, column as u64);
            return Err(Error::NonFinite { operation: "Gaussian covariance", row, column, count });
        }
        if let Some((i, v)) = covariance.diag().iter().enumerate().find(|(_, v)| **v < 0.0) {
            return Err(invalid("variances >= 0".to_owned(), format!("{v} at {i}")));
        }
        let largest = covariance.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        for ((i, j), v) in covariance.indexed_iter() {
            let across = covariance[[j, i]];
            if (v - across).abs() > ASYMMETRY * largest {
                let got = format!("{v} at [{i}, {j}], {across} at [{j}, {i}]");
                return Err(invalid("a symmetric covariance".to_owned(), got));
            }
        }
        let covariance = (&covariance + &covariance.t()) * 0.5;
        Ok(Self { mean, covariance })
    }

    /// The number of dimensions.
    #[must_use]
    pub fn width(&self) -> usize {
        self.mean.len_of(Axis(0))
    }

    /// The mean, `[d]`.
    #[must_use]
    pub fn mean(&self) -> &Array1<f64> {
        &self.mean
    }

    /// The covariance, `[d, d]`.
    #[must_use]
    pub fn covariance(&self) -> &Array2<f64> {
        &self.covariance
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn symmetric_to_rounding_is_made_symmetric() {
        let g = Gaussian::new(array![0.0, 1.0], array![[2.0, 0.5], [0.5 + 1e-9, 1.0]]).unwrap();
        assert_eq!(g.covariance()[[0, 1]], g.covariance()[[1, 0]]);
        assert_eq!(g.width(), 2);
    }

    #[test]
    fn refuses_what_is_no_gaussian() {
        let cases = [
            (Array1::zeros(0), Array2::zeros((0, 0)), "d > 0"),
            (array![0.0], Array2::zeros((2, 2)), "(2, 2)"),
            (array![0.0, f64::NAN], Array2::eye(2), "column 1"),
            (array![0.0, 0.0], array![[1.0, 0.0], [f64::INFINITY, 1.0]], "row 1, column 0"),
            (array![0.0, 0.0], array![[1.0, 0.0], [0.0, -1.0]], "-1 at 1"),
            (array![0.0, 0.0], array![[1.0, 0.5], [0.4, 1.0]], "symmetric"),
        ];
        for (mean, covariance, expected) in cases {
            let message = Gaussian::new(mean, covariance).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
