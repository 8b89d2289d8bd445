use super::*;
use crate::rows::values_f64;
use crate::test_data::normals;

fn rows(points: &[[f64; 2]]) -> Tensor {
    Tensor::from_slice(points.as_flattened()).view([-1, 2])
}

/// The definition in plain loops, with square roots.
fn by_definition(generated: &Tensor, reference: &Tensor, k: usize) -> PrecisionRecall {
    let d = generated.size()[1] as usize;
    let list = |t: &Tensor| -> Vec<Vec<f64>> {
        values_f64("test", &t.contiguous()).unwrap().chunks(d).map(<[f64]>::to_vec).collect()
    };
    let (g, r) = (list(generated), list(reference));
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let radii = |set: &[Vec<f64>]| -> Vec<f64> {
        let radius = |i: usize| {
            let mut others: Vec<f64> =
                (0..set.len()).filter(|j| *j != i).map(|j| distance(&set[i], &set[j])).collect();
            others.sort_by(f64::total_cmp);
            others[k - 1]
        };
        (0..set.len()).map(radius).collect()
    };
    let inside = |points: &[Vec<f64>], set: &[Vec<f64>]| {
        let radii = radii(set);
        let covered =
            |p: &Vec<f64>| set.iter().zip(&radii).any(|(centre, radius)| distance(p, centre) <= *radius);
        points.iter().filter(|p| covered(p)).count() as f64 / points.len() as f64
    };
    PrecisionRecall { precision: inside(&g, &r), recall: inside(&r, &g) }
}

#[test]
fn it_is_the_definition() {
    for (seed, shift, k) in [(1, 0.5, 3), (2, 1.5, 3), (3, 0.0, 1), (4, 0.8, 7)] {
        let (g, r) = (normals(seed, 90, 3) + shift, normals(seed + 50, 70, 3));
        let (got, want) = (precision_recall(&g, &r, k).unwrap(), by_definition(&g, &r, k as usize));
        assert_eq!(got, want, "{seed}");
        assert!(want.precision > 0.1 && want.precision < 1.0, "a case in between: {want:?}");
    }
}

#[test]
fn shifted_clusters() {
    // The reference has two clusters. Three quarters of the generated rows lie in one of them, a quarter far from both.
    let cluster = normals(5, 40, 2) * 0.1;
    let reference = Tensor::cat(&[&cluster, &(&cluster + 100.0)], 0);
    let generated = Tensor::cat(&[&(&cluster.narrow(0, 0, 30) + 0.0), &(normals(6, 10, 2) - 500.0)], 0);
    let got = precision_recall(&generated, &reference, 3).unwrap();
    assert_eq!(got.precision, 0.75, "rows that are reference rows lie inside, far ones do not");
    assert!(got.recall <= 0.5 && got.recall >= 30.0 / 80.0, "{got:?}");
    let apart = precision_recall(&(&cluster - 50.0), &reference, 3).unwrap();
    assert_eq!((apart.precision, apart.recall), (0.0, 0.0));
    let same = precision_recall(&reference, &reference, 3).unwrap();
    assert_eq!((same.precision, same.recall), (1.0, 1.0));
}

#[test]
fn the_row_itself_is_no_neighbour() {
    // On a line at 0, 1, 3, 6: radii with k = 1 are 1, 1, 2, 3; with the row itself counted they would be 0.
    let reference = rows(&[[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [6.0, 0.0]]);
    let generated = rows(&[[-0.9, 0.0], [-1.1, 0.0], [1.9, 0.0], [4.9, 0.0], [8.9, 0.0], [9.1, 0.0]]);
    assert_eq!(precision_recall(&generated, &reference, 1).unwrap().precision, 4.0 / 6.0);
}

#[test]
fn copies_of_a_row_make_a_ball_of_no_size() {
    let reference = rows(&[[0.0, 0.0], [0.0, 0.0], [5.0, 0.0], [5.0, 0.0]]);
    let generated = rows(&[[0.0, 0.0], [0.1, 0.0], [5.0, 0.0]]);
    assert_eq!(precision_recall(&generated, &reference, 1).unwrap().precision, 2.0 / 3.0);
}

#[test]
fn tiling_does_not_change_the_result() {
    // More rows than a tile on both sides; one dimension, so that sorting gives the expected result quickly.
    let n = TILE as usize + 300;
    let (g, r) = (normals(7, n, 1) * 1.5, normals(8, n + 100, 1));
    let got = precision_recall(&g, &r, 1).unwrap();
    let (g, r) = (values_f64("test", &g).unwrap(), values_f64("test", &r).unwrap());
    let inside = |points: &[f64], set: &[f64]| {
        let mut set = set.to_vec();
        set.sort_by(f64::total_cmp);
        let gap = |i: usize, j: usize| if j < set.len() { (set[i] - set[j]).abs() } else { f64::INFINITY };
        let radii: Vec<f64> = (0..set.len()).map(|i| gap(i, i + 1).min(gap(i, i.wrapping_sub(1)))).collect();
        let covered = |p: &&f64| set.iter().zip(&radii).any(|(c, radius)| (*p - c).abs() <= *radius);
        points.iter().filter(covered).count() as f64 / points.len() as f64
    };
    assert_eq!(got, PrecisionRecall { precision: inside(&g, &r), recall: inside(&r, &g) });
}

#[test]
fn a_far_origin_does_not_change_the_result() {
    let (g, r) = (normals(9, 60, 4) + 0.5, normals(10, 60, 4));
    let far = precision_recall(&(&g + 1e6), &(&r + 1e6), 3).unwrap();
    assert_eq!(far, precision_recall(&g, &r, 3).unwrap());
}

#[test]
fn errors_are_named() {
    let x = normals(11, 5, 3);
    assert!(precision_recall(&x, &x, 4).is_ok());
    assert!(matches!(precision_recall(&x, &x, 5), Err(Error::TooFew { expected: 6, got: 5, .. })));
    assert!(matches!(precision_recall(&x, &x, 0), Err(Error::Input { .. })));
    assert!(matches!(precision_recall(&x, &x.narrow(1, 0, 2), 3), Err(Error::Input { .. })));
    let nan = x.copy();
    let _ = nan.get(4).fill_(f64::NAN);
    assert!(matches!(precision_recall(&nan, &x, 3), Err(Error::NonFinite { row: 4, count: 3, .. })));
}
