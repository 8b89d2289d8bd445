//! Feature rows for tests, drawn from seeds.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tch::Tensor;

/// Standard normals, `[n, d]` in f64.
pub(crate) fn normals(seed: u64, n: usize, d: usize) -> Tensor {
    let rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f64> = StandardNormal.sample_iter(rng).take(n * d).collect();
    Tensor::from_slice(&values).view([n as i64, d as i64])
}

/// Normals with correlated columns of unequal scale, `[n, d]` in f64.
pub(crate) fn correlated(seed: u64, n: usize, d: usize) -> Tensor {
    let mix = normals(seed + 1000, d, d);
    normals(seed, n, d).matmul(&mix) + normals(seed + 2000, 1, d)
}
