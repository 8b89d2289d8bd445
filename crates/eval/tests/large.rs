//! Precision and recall at the size of published results, in bounded memory. Takes half a minute.
#![allow(clippy::unwrap_used)]

use fewstep_eval::precision_recall;
use fewstep_random::{Key, Stream};
use tch::Tensor;

const N: u64 = 10_000;
const WIDTH: usize = 2048;

fn rows(seed: u64) -> Tensor {
    let values = Key::new(seed, 0, Stream::Evaluation).normals(&(0..N).collect::<Vec<_>>(), WIDTH);
    Tensor::from_slice(&values).view([N as i64, WIDTH as i64])
}

/// Peak memory of the process, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
#[ignore = "half a minute; run it alone"]
fn ten_thousand_by_ten_thousand_fit_in_two_gigabytes() {
    fewstep_torch::prepare().unwrap();
    let (generated, reference) = (rows(1), rows(2));
    let before = peak();
    let found = precision_recall(&generated, &reference, 3).unwrap();
    // In 2048 dimensions, a ball around a normal point that reaches to its third neighbour holds hardly any more points.
    // Both shares are above 0 and below 1, and about equal.
    assert!(found.precision > 0.0 && found.precision < 1.0, "{found:?}");
    assert!((found.precision - found.recall).abs() < 0.1, "{found:?}");
    println!("{found:?}, {before} bytes before, {} at most", peak());
    assert!(peak() < 2_000_000_000, "{} bytes", peak());
}
