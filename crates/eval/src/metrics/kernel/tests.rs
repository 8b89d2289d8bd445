use super::*;
use crate::rows::values_f64;
use crate::test_data::normals;

/// The definition in plain loops.
fn by_definition(x: &Tensor, y: &Tensor) -> f64 {
    let d = x.size()[1] as usize;
    let list = |t: &Tensor| -> Vec<Vec<f64>> {
        values_f64("test", &t.contiguous()).unwrap().chunks(d).map(<[f64]>::to_vec).collect()
    };
    let (x, y) = (list(x), list(y));
    let k =
        |a: &[f64], b: &[f64]| (a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / d as f64 + 1.0).powi(3);
    let mean = |a: &[Vec<f64>], b: &[Vec<f64>], same: bool| {
        let mut sum = 0.0;
        for (i, p) in a.iter().enumerate() {
            for (j, q) in b.iter().enumerate() {
                sum += if same && i == j { 0.0 } else { k(p, q) };
            }
        }
        sum / (a.len() * (b.len() - usize::from(same))) as f64
    };
    mean(&x, &x, true) + mean(&y, &y, true) - 2.0 * mean(&x, &y, false)
}

#[test]
fn it_is_the_definition() {
    let (x, y) = (normals(1, 40, 6), normals(2, 31, 6) * 1.3 + 0.2);
    let (got, want) = (kernel_distance(&x, &y).unwrap(), by_definition(&x, &y));
    assert!((got - want).abs() < 1e-12 * want.abs().max(1.0), "{got} {want}");
    let (x, y) = (x.to_kind(Kind::Float), y.to_kind(Kind::Float));
    let (got, want) = (kernel_distance(&x, &y).unwrap(), by_definition(&x, &y));
    assert!((got - want).abs() < 1e-12 * want.abs().max(1.0), "{got} {want}");
}

#[test]
fn two_points_by_hand() {
    // d = 1: k(1, 3) = 64, k(0, 0) = 1, all k(x, 0) = 1.
    let x = Tensor::from_slice(&[1.0, 3.0]).view([2, 1]);
    let zero = Tensor::zeros([5, 1], (Kind::Double, tch::Device::Cpu));
    assert_eq!(kernel_distance(&x, &zero).unwrap(), 64.0 + 1.0 - 2.0);
}

#[test]
fn equal_sets_are_below_zero_by_their_diagonal() {
    // With Y = X the cross term counts k(x_i, x_i), which the unbiased terms leave out:
    // 2 S / n(n-1) - 2 (S + T) / n^2 = 2 (S / (n-1) - T) / n^2, S off the diagonal, T on it.
    let x = normals(3, 50, 8);
    let n = 50.0;
    let (off, on) = (within(&x).unwrap(), diagonal_sum(&x).unwrap());
    let want = 2.0 * (off / (n - 1.0) - on) / (n * n);
    let got = kernel_distance(&x, &x).unwrap();
    assert!(want < 0.0 && (got - want).abs() < 1e-13, "{got} {want}");
}

#[test]
fn tiling_does_not_change_the_sums() {
    let (x, y) = (normals(4, 2 * TILE as usize + 57, 3), normals(5, TILE as usize + 1, 3) + 0.1);
    let mut want = 0.0;
    for block in x.split(500, 0) {
        want += tile_sum(&block, &x).unwrap();
    }
    want -= diagonal_sum(&x).unwrap();
    assert!((within(&x).unwrap() - want).abs() < 1e-11 * want);
    let (xy, yx) = (between(&x, &y).unwrap(), between(&y, &x).unwrap());
    assert!((xy - yx).abs() < 1e-11 * xy);
    assert!((xy - tile_sum(&x, &y).unwrap()).abs() < 1e-11 * xy);
}

#[test]
fn subsets_are_unbiased_and_keyed() {
    let (x, y) = (normals(6, 300, 4), normals(7, 280, 4) + 0.3);
    let subsets = KernelSubsets { count: 60, size: 100, seed: 1 };
    let got = kernel_distance_subsets(&x, &y, &subsets).unwrap();
    let whole = kernel_distance(&x, &y).unwrap();
    // The mean over subsets estimates the value over all rows with standard error deviation / sqrt(60); four of them.
    assert!(got.deviation > 0.0);
    assert!((got.mean - whole).abs() < 4.0 * got.deviation / 60f64.sqrt(), "{got:?} {whole}");
    assert_eq!(got, kernel_distance_subsets(&x, &y, &subsets).unwrap());
    assert_ne!(got, kernel_distance_subsets(&x, &y, &KernelSubsets { seed: 2, ..subsets }).unwrap());
    let all = KernelSubsets { count: 3, size: 280, seed: 1 };
    let same = kernel_distance_subsets(&x.narrow(0, 0, 280), &y, &all).unwrap();
    let whole = kernel_distance(&x.narrow(0, 0, 280), &y).unwrap();
    assert!((same.mean - whole).abs() < 1e-12 && same.deviation < 1e-12, "a subset of all rows is all rows");
}

#[test]
fn same_distribution_is_zero_within_its_deviation() {
    let subsets = KernelSubsets { count: 50, size: 200, seed: 0 };
    let (x, y) = (normals(8, 2000, 16), normals(9, 2000, 16));
    let got = kernel_distance_subsets(&x, &y, &subsets).unwrap();
    assert!(got.mean.abs() < 4.0 * got.deviation / 50f64.sqrt(), "{got:?}");
    let moved = kernel_distance_subsets(&x, &(y + 0.3), &subsets).unwrap();
    assert!(moved.mean > 10.0 * moved.deviation / 50f64.sqrt(), "the check must see a difference: {moved:?}");
}

#[test]
fn errors_are_named() {
    let x = normals(10, 5, 3);
    assert!(matches!(kernel_distance(&x, &x.narrow(0, 0, 1)), Err(Error::TooFew { got: 1, .. })));
    assert!(matches!(kernel_distance(&x, &x.narrow(1, 0, 2)), Err(Error::Input { .. })));
    let nan = x.copy();
    let _ = nan.get(2).get(1).fill_(f64::NAN);
    assert!(matches!(kernel_distance(&x, &nan), Err(Error::NonFinite { row: 2, column: 1, count: 1, .. })));
    assert!(matches!(kernel_distance(&(&x * 1e150), &x), Err(Error::Input { .. })));
    let subsets = |count, size| KernelSubsets { count, size, seed: 0 };
    let message = |s: KernelSubsets| kernel_distance_subsets(&x, &x, &s).unwrap_err().to_string();
    assert!(message(subsets(1, 6)).contains("expected at least 6 rows, got 5"), "{}", message(subsets(1, 6)));
    assert!(message(subsets(0, 3)).contains("a subset or more"));
    assert!(message(subsets(3, 1)).contains("of 2 rows or more"));
}
