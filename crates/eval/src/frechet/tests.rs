//! Cases with closed forms. Tolerances are relative to the traces, the size of the terms that cancel.

use super::*;
use crate::moments::Moments;
use crate::test_data::{correlated, normals};
use ndarray::{Array1, Array2, array};

fn gaussian(mean: &Array1<f64>, covariance: &Array2<f64>) -> Gaussian {
    Gaussian::new(mean.clone(), covariance.clone()).unwrap()
}

fn fitted(rows: &Tensor) -> Gaussian {
    let mut moments = Moments::new(rows.size()[1] as usize, Device::Cpu).unwrap();
    moments.push(rows).unwrap();
    moments.gaussian().unwrap()
}

fn diagonal(variances: &[f64]) -> Array2<f64> {
    Array2::from_diag(&Array1::from_vec(variances.to_vec()))
}

/// An orthogonal matrix: two Householder reflections.
fn orthogonal(d: usize) -> Array2<f64> {
    let reflection = |seed: f64| {
        let v = Array1::from_iter((0..d).map(|i| (seed * (i + 1) as f64).sin() + 0.1));
        let column = v.clone().insert_axis(ndarray::Axis(1));
        Array2::eye(d) - column.dot(&column.t()) * (2.0 / v.dot(&v))
    };
    reflection(1.3).dot(&reflection(2.7))
}

#[track_caller]
fn near(got: f64, want: f64, tolerance: f64) {
    assert!((got - want).abs() <= tolerance * want.abs().max(1.0), "{got} instead of {want}");
}

#[test]
fn diagonal_gaussians() {
    let a = gaussian(&array![1.0, 0.0, -2.0], &diagonal(&[4.0, 1.0, 9.0]));
    let b = gaussian(&array![0.0, 0.5, -2.0], &diagonal(&[1.0, 1.0, 16.0]));
    near(frechet_distance(&a, &b).unwrap(), 1.0 + 0.25 + 1.0 + 0.0 + 1.0, 1e-14);
    near(frechet_distance(&b, &a).unwrap(), 3.25, 1e-14);
}

#[test]
fn identical_is_zero() {
    let full = fitted(&correlated(1, 200, 12));
    let deficient = fitted(&correlated(2, 7, 12));
    for g in [full, deficient] {
        let traces = 2.0 * g.covariance().diag().sum();
        assert!(frechet_distance(&g, &g).unwrap() < 1e-13 * traces);
    }
    let rows = normals(3, 9, 20);
    assert!(frechet_from_features(&rows, &rows).unwrap() < 1e-9);
}

#[test]
fn translation_is_the_squared_shift() {
    let rows = correlated(4, 100, 6);
    let moved = &rows + Tensor::from_slice(&[1.0, 2.0, 0.0, 0.0, -2.0, 4.0]);
    near(frechet_distance(&fitted(&rows), &fitted(&moved)).unwrap(), 25.0, 1e-11);
    near(frechet_from_features(&rows, &moved).unwrap(), 25.0, 1e-11);
}

#[test]
fn commuting_covariances() {
    let q = orthogonal(5);
    let turned = |variances: &[f64]| q.dot(&diagonal(variances)).dot(&q.t());
    let (a, b) = ([1.0, 4.0, 0.25, 100.0, 9.0], [9.0, 1.0, 0.25, 121.0, 0.01]);
    let want: f64 = a.iter().zip(b).map(|(x, y): (&f64, f64)| (x.sqrt() - y.sqrt()).powi(2)).sum();
    let zero = Array1::zeros(5);
    let distance = frechet_distance(&gaussian(&zero, &turned(&a)), &gaussian(&zero, &turned(&b))).unwrap();
    near(distance, want, 1e-13);
}

#[test]
fn rank_deficient_equals_the_lower_dimension() {
    let (low_a, low_b) = (correlated(5, 50, 3), correlated(6, 60, 3));
    let want = frechet_distance(&fitted(&low_a), &fitted(&low_b)).unwrap();
    let basis = Tensor::try_from(orthogonal(40)).unwrap().narrow(0, 0, 3);
    let (a, b) = (low_a.matmul(&basis), low_b.matmul(&basis));
    near(frechet_distance(&fitted(&a), &fitted(&b)).unwrap(), want, 1e-12);
    near(frechet_from_features(&a, &b).unwrap(), want, 1e-12);
}

#[test]
fn orthogonal_supports_share_nothing() {
    let a = gaussian(&array![0.0, 0.0], &diagonal(&[4.0, 0.0]));
    let b = gaussian(&array![0.0, 0.0], &diagonal(&[0.0, 9.0]));
    let point = gaussian(&array![0.0, 0.0], &diagonal(&[0.0, 0.0]));
    near(frechet_distance(&a, &b).unwrap(), 13.0, 1e-14);
    near(frechet_distance(&a, &point).unwrap(), 4.0, 1e-14);
    assert_eq!(frechet_distance(&point, &point).unwrap(), 0.0);
}

#[test]
fn all_routes_agree() {
    let (many, few, other) = (correlated(7, 300, 20), correlated(8, 11, 20), correlated(9, 90, 20));
    for (x, y) in [(&many, &other), (&many, &few), (&few, &other), (&few, &few.narrow(0, 0, 5))] {
        let from_moments = frechet_distance(&fitted(x), &fitted(y)).unwrap();
        near(from_moments, frechet_from_features(x, y).unwrap(), 1e-11);
        near(from_moments, frechet_distance(&fitted(y), &fitted(x)).unwrap(), 1e-11);
    }
}

#[test]
fn nearly_singular_covariances_take_the_accurate_route() {
    // Cholesky succeeds for these covariances, but the roots of the eigenvalues of L^T B L would be off by sqrt(eps).
    let variances: Vec<f64> = (0..8).map(|i| 10f64.powi(-2 * i)).collect();
    let q = orthogonal(8);
    let a = q.dot(&diagonal(&variances)).dot(&q.t());
    let b = q.dot(&diagonal(&variances.iter().map(|v| 4.0 * v).collect::<Vec<_>>())).dot(&q.t());
    assert!(cholesky(&Tensor::try_from(&a).unwrap()).unwrap().is_none());
    let zero = Array1::zeros(8);
    near(frechet_distance(&gaussian(&zero, &a), &gaussian(&zero, &b)).unwrap(), variances.iter().sum(), 1e-9);
}

#[test]
fn errors_are_named() {
    let one = gaussian(&array![0.0], &diagonal(&[1.0]));
    let two = gaussian(&array![0.0, 0.0], &diagonal(&[1.0, 1.0]));
    assert!(matches!(frechet_distance(&one, &two), Err(Error::Input { .. })));
    let indefinite = gaussian(&array![0.0, 0.0], &array![[1.0, 2.0], [2.0, 1.0]]);
    assert!(matches!(frechet_distance(&two, &indefinite), Err(Error::NotCovariance { .. })));
    let rows = normals(10, 4, 3);
    assert!(matches!(frechet_from_features(&rows, &rows.narrow(0, 0, 1)), Err(Error::TooFew { got: 1, .. })));
    assert!(matches!(frechet_from_features(&rows, &rows.narrow(1, 0, 2)), Err(Error::Input { .. })));
    let nan = rows.copy();
    let _ = nan.get(3).fill_(f64::NAN);
    assert!(matches!(frechet_from_features(&rows, &nan), Err(Error::NonFinite { row: 3, count: 3, .. })));
    let huge = &rows * 1e200;
    assert!(frechet_from_features(&huge, &rows).is_err());
}

#[test]
fn blocks_of_a_triangle_make_the_whole_product() {
    for d in [5, BLOCK, 2 * BLOCK + 37] {
        let (factor, b) = (normals(11, d as usize, d as usize).tril(0), normals(12, d as usize, d as usize));
        let want = factor.tr().matmul(&b).matmul(&factor).tril(0);
        let got = congruent_lower(&factor, &b).unwrap().tril(0);
        let off = (&got - &want).abs().max().double_value(&[]) / want.abs().max().double_value(&[]);
        assert!(off < 1e-14, "{d}: {off}");
    }
}
