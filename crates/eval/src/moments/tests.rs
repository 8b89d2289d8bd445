use super::*;
use crate::test_data::{correlated, normals};

/// Mean and covariance by their definition, in plain loops.
fn by_definition(rows: &Tensor) -> (Vec<f64>, Vec<f64>) {
    let (n, d) = rows.size2().unwrap();
    let (n, d) = (n as usize, d as usize);
    let x = values_f64("test", rows).unwrap();
    let mean: Vec<f64> = (0..d).map(|j| (0..n).map(|i| x[i * d + j]).sum::<f64>() / n as f64).collect();
    let mut cov = vec![0.0; d * d];
    for i in 0..n {
        for j in 0..d {
            for k in 0..d {
                cov[j * d + k] += (x[i * d + j] - mean[j]) * (x[i * d + k] - mean[k]) / (n - 1) as f64;
            }
        }
    }
    (mean, cov)
}

/// Largest difference, relative to the largest value.
fn relative(got: impl IntoIterator<Item = f64>, want: &[f64]) -> f64 {
    let scale = want.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    got.into_iter().zip(want).fold(0.0_f64, |m, (g, w)| m.max((g - w).abs())) / scale
}

fn pushed(batches: &[Tensor]) -> Moments {
    let mut moments = Moments::new(batches[0].size()[1] as usize, Device::Cpu).unwrap();
    for batch in batches {
        moments.push(batch).unwrap();
    }
    moments
}

#[test]
fn batches_of_any_size_give_the_definition() {
    let rows = correlated(1, 57, 5);
    let (mean, cov) = by_definition(&rows);
    for size in [1, 2, 13, 57, 100] {
        let moments = pushed(&rows.split(size, 0));
        assert_eq!(moments.count(), 57);
        assert!(relative(moments.mean().unwrap(), &mean) < 1e-14, "{size}");
        assert!(relative(moments.covariance().unwrap(), &cov) < 1e-13, "{size}");
    }
}

#[test]
fn shards_merge_to_the_whole() {
    let rows = correlated(2, 301, 16);
    let whole = pushed(&[rows.shallow_clone()]);
    let mut merged = Moments::new(16, Device::Cpu).unwrap();
    for shard in rows.split_with_sizes([1i64, 100, 3, 197].as_slice(), 0) {
        merged.merge(&pushed(&[shard])).unwrap();
    }
    merged.merge(&Moments::new(16, Device::Cpu).unwrap()).unwrap();
    assert_eq!(merged.count(), 301);
    let (mean, cov) = (whole.mean().unwrap(), whole.covariance().unwrap());
    assert!(relative(merged.mean().unwrap(), mean.as_slice().unwrap()) < 1e-12);
    assert!(relative(merged.covariance().unwrap(), cov.as_slice().unwrap()) < 1e-12);
}

#[test]
fn a_large_mean_keeps_the_covariance_accurate() {
    let rows = normals(3, 400, 4);
    let (_, cov) = by_definition(&rows);
    let far = &rows + 1e7;
    let moments = pushed(&far.split(7, 0));
    // Rows at 1e7 are rounded to 1e-9; the textbook formula, sum of squares minus n mean^2, is off by 1e14 * eps = 0.02.
    assert!(relative(moments.covariance().unwrap(), &cov) < 1e-7);
    let textbook = far.tr().matmul(&far) / 399.0
        - far.mean_dim([0i64].as_slice(), false, Kind::Double).square() * (400.0 / 399.0);
    let textbook: Vec<f64> = values_f64("test", &textbook.diagonal(0, 0, 1).contiguous()).unwrap();
    let truth: Vec<f64> = (0..4).map(|i| cov[i * 5]).collect();
    assert!(relative(textbook, &truth) > 1e-4, "the textbook formula must fail in this case");
}

#[test]
fn covariance_is_exactly_symmetric() {
    let cov = pushed(&correlated(4, 100, 33).split(9, 0)).covariance().unwrap();
    assert_eq!(cov, cov.t());
}

#[test]
fn slices_and_other_kinds_are_rows_too() {
    let rows = normals(5, 20, 3).to_kind(Kind::Float);
    let mut flat = vec![0f32; 60];
    rows.copy_data(&mut flat, 60);
    let mut moments = Moments::new(3, Device::Cpu).unwrap();
    moments.push_rows(&flat).unwrap();
    assert_eq!(moments.gaussian().unwrap(), pushed(&[rows.shallow_clone()]).gaussian().unwrap());
    let tracked = rows.set_requires_grad(true);
    assert_eq!(moments.gaussian().unwrap(), pushed(&[tracked]).gaussian().unwrap());
}

#[test]
fn moments_continue_from_their_parts() {
    let rows = correlated(6, 50, 4);
    let (head, tail) = (rows.narrow(0, 0, 30), rows.narrow(0, 30, 20));
    let before = pushed(&[head]);
    let mut after = Moments::from_parts(before.count(), &before.gaussian().unwrap(), Device::Cpu).unwrap();
    after.push(&tail).unwrap();
    let want = pushed(&[rows]).covariance().unwrap();
    assert!(relative(after.covariance().unwrap(), want.as_slice().unwrap()) < 1e-13);
    assert!(Moments::from_parts(1, &before.gaussian().unwrap(), Device::Cpu).is_err());
}

#[test]
fn a_non_finite_feature_is_named_and_changes_nothing() {
    let mut moments = pushed(&[normals(7, 10, 3)]);
    let before = moments.gaussian().unwrap();
    for bad in [f64::NAN, f64::INFINITY] {
        let rows = normals(8, 6, 3);
        let _ = rows.get(4).get(1).fill_(bad);
        let error = moments.push(&rows).unwrap_err();
        assert!(matches!(error, Error::NonFinite { row: 14, column: 1, count: 1, .. }), "{error}");
    }
    assert_eq!((moments.count(), moments.gaussian().unwrap()), (10, before));
}

#[test]
fn wrong_shapes_and_too_few_rows_are_errors() {
    let mut moments = Moments::new(3, Device::Cpu).unwrap();
    for rows in [normals(9, 2, 4), normals(9, 1, 3).view([3]), Tensor::new()] {
        assert!(matches!(moments.push(&rows), Err(Error::Input { .. })));
    }
    assert!(matches!(moments.push(&normals(9, 2, 3).to_kind(Kind::ComplexDouble)), Err(Error::Input { .. })));
    assert!(matches!(moments.push_rows(&[0.0; 4]), Err(Error::Input { .. })));
    assert!(matches!(moments.merge(&Moments::new(2, Device::Cpu).unwrap()), Err(Error::Input { .. })));
    assert!(matches!(Moments::new(0, Device::Cpu), Err(Error::Input { .. })));
    moments.push(&normals(9, 0, 3)).unwrap();
    assert!(matches!(moments.mean(), Err(Error::TooFew { got: 0, .. })));
    moments.push(&normals(9, 1, 3)).unwrap();
    assert!(moments.mean().is_ok());
    assert!(matches!(moments.covariance(), Err(Error::TooFew { got: 1, .. })));
}
