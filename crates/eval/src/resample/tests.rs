use super::*;
use crate::test_data::normals;
use ndarray::{Array1, Array2};

fn standard(d: usize) -> Gaussian {
    Gaussian::new(Array1::zeros(d), Array2::eye(d)).unwrap()
}

#[test]
fn a_line_is_found_exactly() {
    let points = [100, 200, 400, 1000].map(|n| (n, 3.0 + 50.0 / n as f64)).to_vec();
    let line = fitted_line(points);
    assert!((line.intercept - 3.0).abs() < 1e-12 && (line.slope - 50.0).abs() < 1e-9, "{line:?}");
    assert!(line.residual < 1e-12);
}

#[test]
fn quantiles_lie_between_values() {
    let sorted = [0.0, 1.0, 2.0, 10.0];
    assert_eq!([0.0, 0.5, 1.0].map(|q| quantile(&sorted, q)), [0.0, 1.5, 10.0]);
}

#[test]
fn the_interval_has_the_width_of_theory() {
    // One dimension, mean m, variance 1, against N(0, 1): the distance is near m^2, whose standard deviation over
    // samples of n is 2 m / sqrt(n).
    let (n, m) = (2000, 3.0);
    let rows = normals(1, n, 1) + m;
    let settings = Bootstrap { resamples: 200, level: 0.9, seed: 3 };
    let got = frechet_interval(&rows, &standard(1), &settings).unwrap();
    let want = 2.0 * m / (n as f64).sqrt();
    // The deviation of a deviation over 200 draws is 1/20 of it; four of them.
    assert!((got.deviation / want - 1.0).abs() < 0.2, "{got:?} {want}");
    assert!((got.value - m * m).abs() < 4.0 * want, "{got:?}");
    assert!(got.low < got.value && got.value < got.high, "{got:?}");
    let width = (got.high - got.low) / (2.0 * 1.645 * want);
    assert!((width - 1.0).abs() < 0.25, "{width}");
    assert_eq!(got, frechet_interval(&rows, &standard(1), &settings).unwrap());
    assert_ne!(got, frechet_interval(&rows, &standard(1), &Bootstrap { seed: 4, ..settings }).unwrap());
}

#[test]
fn the_bias_of_the_draws_is_that_of_the_value() {
    // Against the rows' own distribution the distance is pure bias, and the draws add about as much again.
    let rows = normals(2, 400, 10);
    let got = frechet_interval(&rows, &standard(10), &Bootstrap { resamples: 40, ..Bootstrap::default() });
    let got = got.unwrap();
    assert!(got.bias > 0.5 * got.value && got.bias < 2.0 * got.value, "{got:?}");
}

#[test]
fn infinity_is_less_biased_than_any_size() {
    let rows = normals(3, 4000, 24);
    let settings = Extrapolation { points: 10, smallest: 200, seed: 0 };
    let line = frechet_infinity(&rows, &standard(24), &settings).unwrap();
    let (first, last) = (line.points[0], *line.points.last().unwrap());
    assert_eq!((first.0, last.0, line.points.len()), (200, 4000, 10));
    let all: Vec<i64> = (0..4000).collect();
    assert_eq!(last.0, 4000);
    assert!((last.1 - distance_of(&rows, &all, &standard(24)).unwrap()).abs() < 1e-12);
    // The truth is 0.
    assert!(line.intercept.abs() < 0.5 * last.1, "{line:?}");
    assert!((line.slope / 200.0 / first.1 - 1.0).abs() < 0.3, "the bias at the smallest size: {line:?}");
    assert_eq!(line, frechet_infinity(&rows, &standard(24), &settings).unwrap());
}

#[test]
fn a_shift_survives_the_extrapolation() {
    let rows = normals(4, 3000, 6) + 1.0;
    let settings = Extrapolation { points: 8, smallest: 300, seed: 5 };
    let line = frechet_infinity(&rows, &standard(6), &settings).unwrap();
    // 6 dimensions, each moved by 1; a standard deviation of the mean's square is 2 sqrt(6 / 3000) = 0.09.
    assert!((line.intercept - 6.0).abs() < 0.36, "{line:?}");
}

#[test]
fn errors_are_named() {
    let (rows, reference) = (normals(5, 50, 3), standard(3));
    let interval = |b: Bootstrap| frechet_interval(&rows, &reference, &b);
    assert!(matches!(interval(Bootstrap { resamples: 1, ..Bootstrap::default() }), Err(Error::Input { .. })));
    for level in [0.0, 1.0, f64::NAN] {
        assert!(matches!(interval(Bootstrap { level, ..Bootstrap::default() }), Err(Error::Input { .. })));
    }
    let infinity =
        |points, smallest| frechet_infinity(&rows, &reference, &Extrapolation { points, smallest, seed: 0 });
    assert!(matches!(infinity(3, 50), Err(Error::TooFew { expected: 51, got: 50, .. })));
    assert!(matches!(infinity(1, 10), Err(Error::Input { .. })));
    assert!(matches!(infinity(3, 1), Err(Error::Input { .. })));
    assert!(matches!(frechet_interval(&rows, &standard(2), &Bootstrap::default()), Err(Error::Input { .. })));
}
