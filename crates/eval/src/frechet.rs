//! The Frechet distance between two Gaussians (Dowson and Landau 1982; Heusel et al. 2017, arXiv 1706.08500),
//!
//! ```text
//! d^2 = |mu_a - mu_b|^2 + tr A + tr B - 2 tr (A B)^(1/2)
//! ```
//!
//! Only the last term is difficult. For any factors `A = F F^T`, `B = G G^T`, `tr (A B)^(1/2)` is the sum of the
//! singular values of `F^T G` (its nuclear norm); they are the square roots of the eigenvalues of `F^T B F`. This
//! file uses three factorisations:
//!
//! - Cholesky, if both covariances have full rank: `eigvalsh(L^T B L)`, the fastest;
//! - eigenvectors scaled by the roots of their eigenvalues, without eigenvalues that are zero up to rounding, for a
//!   covariance that is rank deficient. Eigenvalues of the product would turn rounding of size eps into sqrt(eps);
//!   singular values do not;
//! - the centred samples, `F = Xc^T / sqrt(n - 1)`, if there are fewer samples than dimensions: no covariance is
//!   formed.

use crate::error::{During, Error, Result};
use crate::gaussian::Gaussian;
use crate::rows::rows_f64;
use fewstep_torch::ScalarOps;
use tch::{Device, Kind, TchError, Tensor};

/// A covariance has full rank if its smallest squared Cholesky pivot exceeds this fraction of its largest entry. If
/// both covariances have condition number k, the smallest eigenvalue of `L^T B L` is 1/k^2 with a rounding error of
/// eps, so its root is off by eps k / 2.
const FULL_RANK: f64 = 1e-6;

/// A matrix is indefinite if an eigenvalue is this far below zero, relative to the largest. Rounding to f32 in a
/// file gives less.
const INDEFINITE: f64 = 1e-6;

/// Rows and columns per block of [`congruent_lower`].
const BLOCK: i64 = 256;

/// Squared Frechet distance between two Gaussians, of full rank or not, on the CPU in f64.
///
/// Never negative: a result below zero by rounding is returned as 0.
///
/// # Errors
/// When the widths differ, a covariance is indefinite, or libtorch fails.
pub fn frechet_distance(a: &Gaussian, b: &Gaussian) -> Result<f64> {
    const OPERATION: &str = "frechet_distance";
    if a.width() != b.width() {
        let (expected, got) = (format!("width {}", a.width()), format!("width {}", b.width()));
        return Err(Error::Input { operation: OPERATION, expected, got });
    }
    let shift = a.mean() - b.mean();
    let (cov_a, cov_b) = (tensor(a)?, tensor(b)?);
    let cross = match (cholesky(&cov_a)?, cholesky(&cov_b)?) {
        (Some(factor), Some(_)) => root_trace_full_rank(&factor, &cov_b)?,
        (a, b) => {
            let factor =
                |cholesky: Option<Tensor>, cov: &Tensor| cholesky.map_or_else(|| eigen_factor(cov), Ok);
            nuclear_norm(OPERATION, &transposed(&factor(a, &cov_a)?)?, &factor(b, &cov_b)?)?
        }
    };
    let traces = a.covariance().diag().sum() + b.covariance().diag().sum();
    finish(OPERATION, shift.dot(&shift), traces, cross)
}

/// Squared Frechet distance between the Gaussians fitted (divisor n - 1) to two sets of feature rows, without
/// forming covariances. Use it for fewer samples than dimensions: it takes the singular values of an `[n, m]`
/// matrix. For many samples, [`crate::Moments`] and [`frechet_distance`] are faster.
///
/// # Shapes
/// `x [n, d]`, `y [m, d]`, any real kind; `n, m >= 2`.
///
/// # Errors
/// Wrong shapes, fewer than two rows, non-finite features, failures of libtorch.
pub fn frechet_from_features(x: &Tensor, y: &Tensor) -> Result<f64> {
    const OPERATION: &str = "frechet_from_features";
    let (mean_x, x) = centred_scaled(OPERATION, x, None)?;
    let (mean_y, y) = centred_scaled(OPERATION, y, Some(mean_x.size()[0] as usize))?;
    let square =
        |t: &Tensor| t.f_square().and_then(|t| t.f_sum(Kind::Double)).and_then(|t| t.f_double_value(&[]));
    let shift = mean_x.f_sub(&mean_y).and_then(|t| square(&t)).during(OPERATION)?;
    let traces = square(&x).during(OPERATION)? + square(&y).during(OPERATION)?;
    let cross = nuclear_norm(OPERATION, &x, &transposed(&y)?)?;
    finish(OPERATION, shift, traces, cross)
}

fn finish(operation: &'static str, shift: f64, traces: f64, cross: f64) -> Result<f64> {
    let distance = shift + (traces - 2.0 * cross);
    if !distance.is_finite() {
        let got = format!("{distance} from shift {shift}, traces {traces}, cross term {cross}");
        return Err(Error::Input {
            operation,
            expected: "features whose squares are finite".to_owned(),
            got,
        });
    }
    Ok(distance.max(0.0))
}

/// Mean `[d]` and `(x - mean) / sqrt(n - 1)`, `[n, d]`.
fn centred_scaled(operation: &'static str, rows: &Tensor, width: Option<usize>) -> Result<(Tensor, Tensor)> {
    let rows = rows_f64(operation, rows, width, 0, Device::Cpu)?;
    let n = rows.size()[0];
    if n < 2 {
        return Err(Error::TooFew { operation, expected: 2, got: n as u64 });
    }
    let mean = rows.f_mean_dim([0i64].as_slice(), false, Kind::Double).during(operation)?;
    let scale = 1.0 / ((n - 1) as f64).sqrt();
    let scaled = rows.f_sub(&mean).and_then(|t| t.mul_number(scale)).during(operation)?;
    Ok((mean, scaled))
}

fn tensor(gaussian: &Gaussian) -> Result<Tensor> {
    Tensor::try_from(gaussian.covariance()).during("covariance to tensor")
}

fn transposed(matrix: &Tensor) -> Result<Tensor> {
    matrix.f_tr().during("transpose")
}

/// `L` with `A = L L^T`, or `None` if A does not have full rank up to rounding.
fn cholesky(covariance: &Tensor) -> Result<Option<Tensor>> {
    const OPERATION: &str = "Cholesky factor";
    let (factor, info) = covariance.f_linalg_cholesky_ex(false, false).during(OPERATION)?;
    if info.f_int64_value(&[]).during(OPERATION)? != 0 {
        return Ok(None);
    }
    let least = factor.f_diagonal(0, 0, 1).and_then(|t| t.f_min()).and_then(|t| t.f_double_value(&[]));
    let largest = covariance.f_max().and_then(|t| t.f_double_value(&[])).during(OPERATION)?;
    Ok((least.during(OPERATION)?.powi(2) > FULL_RANK * largest).then_some(factor))
}

/// `tr (A B)^(1/2)` as the sum of the roots of the eigenvalues of `L^T B L`.
fn root_trace_full_rank(factor: &Tensor, cov_b: &Tensor) -> Result<f64> {
    const OPERATION: &str = "eigenvalues of L^T B L";
    let product = congruent_lower(factor, cov_b).during(OPERATION)?;
    let roots = product.f_linalg_eigvalsh("L").and_then(|t| t.clamp_least(0.0)).and_then(|t| t.f_sqrt());
    roots.and_then(|t| t.f_sum(Kind::Double)).and_then(|t| t.f_double_value(&[])).during(OPERATION)
}

/// The lower triangle of `L^T B L`; the upper triangle of the result is not meaningful. This takes half the work of
/// two full products, because L is zero above its diagonal and the result is not needed above its diagonal.
///
/// # Shapes
/// `factor [d, d]` lower triangular, `b [d, d]` -> `[d, d]`.
fn congruent_lower(factor: &Tensor, b: &Tensor) -> std::result::Result<Tensor, TchError> {
    let d = factor.size()[0];
    let product = Tensor::f_zeros([d, d], (Kind::Double, factor.device()))?;
    for row in (0..d).step_by(BLOCK as usize) {
        let height = BLOCK.min(d - row);
        // Rows `row..` of L^T B: the columns of L are zero above the diagonal.
        let columns = factor.f_narrow(1, row, height)?.f_narrow(0, row, d - row)?;
        let left = columns.f_tr()?.f_mm(&b.f_narrow(0, row, d - row)?)?;
        for column in (0..=row).step_by(BLOCK as usize) {
            let width = BLOCK.min(d - column);
            let right = factor.f_narrow(1, column, width)?.f_narrow(0, column, d - column)?;
            let block = left.f_narrow(1, column, d - column)?.f_mm(&right)?;
            let mut place = product.f_narrow(0, row, height)?.f_narrow(1, column, width)?;
            place.f_copy_(&block)?;
        }
    }
    Ok(product)
}

/// `F [d, r]` with `A = F F^T` up to rounding. The numerical rank r counts the eigenvalues above `d eps` times the
/// largest; smaller ones are zeros plus rounding.
fn eigen_factor(covariance: &Tensor) -> Result<Tensor> {
    const OPERATION: &str = "eigenvalues of a covariance";
    let d = covariance.size()[0];
    let (values, vectors) = covariance.f_linalg_eigh("L").during(OPERATION)?;
    let at = |i: i64| values.f_double_value(&[i]).during(OPERATION);
    let (least, largest) = (at(0)?, at(d - 1)?.max(0.0));
    if least < -INDEFINITE * largest || !largest.is_finite() {
        return Err(Error::NotCovariance {
            operation: OPERATION,
            expected: -INDEFINITE * largest,
            got: least,
        });
    }
    let kept = values.above_number(d as f64 * f64::EPSILON * largest).and_then(|t| t.f_nonzero());
    let kept = kept.and_then(|t| t.f_flatten(0, -1)).during(OPERATION)?;
    let roots = values.f_index_select(0, &kept).and_then(|t| t.f_sqrt()).during(OPERATION)?;
    vectors.f_index_select(1, &kept).and_then(|t| t.f_mul(&roots)).during(OPERATION)
}

/// Sum of the singular values of `left right`.
///
/// # Shapes
/// `left [n, d]`, `right [d, m]`.
fn nuclear_norm(operation: &'static str, left: &Tensor, right: &Tensor) -> Result<f64> {
    let product = left.f_mm(right).during(operation)?;
    // Not linalg_svdvals or linalg_svd: tch always passes a driver argument, which makes them fail on a CPU.
    let (_, singular, _) = product.f_svd(true, false).during(operation)?;
    singular.f_sum(Kind::Double).and_then(|t| t.f_double_value(&[])).during(operation)
}

#[cfg(test)]
mod tests;
