//! The kernel distance (KID in Inception's pool3; Binkowski et al. 2018, arXiv 1801.01401): the squared maximum
//! mean discrepancy under the kernel `k(x, y) = (x.y / d + 1)^3`, estimated without bias,
//!
//! ```text
//! sum_{i != j} k(x_i, x_j) / n (n - 1) + sum_{i != j} k(y_i, y_j) / m (m - 1) - 2 sum_{i, j} k(x_i, y_j) / n m
//! ```
//!
//! so its expectation is zero if the two distributions are the same, and it can be negative. It is computed over all
//! rows, or as the mean over random subsets, whose standard deviation measures its uncertainty.

use crate::error::{During, Error, Result};
use crate::estimate::Estimate;
use crate::feature_space::same_space;
use crate::image_features::ImageFeatures;
use crate::metric::Metric;
use crate::record::Reference;
use crate::rows::{all_finite, checked_rows};
use crate::score::{ReferenceCount, Score};
use crate::sides::{GeneratedSide, ReferenceSide};
use crate::statistic::Statistic;
use crate::workers::{LARGE, in_order};
use fewstep_random::{Key, Stream};
use fewstep_torch::ScalarOps;
use tch::{Kind, Tensor};

/// Rows per tile of the kernel matrix. The module `precision_recall` explains why not fewer.
const TILE: i64 = 2048;

/// The kernel distance over 100 subsets of 1,000, or of all images of the smaller side where it has fewer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernel;

impl Metric for Kernel {
    fn name(&self) -> &str {
        "kernel"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["kid"]
    }

    fn needs_rows(&self) -> bool {
        true
    }

    fn needs_reference_rows(&self) -> bool {
        true
    }

    fn scores(
        &self,
        generated: &GeneratedSide,
        reference: &ReferenceSide,
    ) -> Result<Vec<(Score, Reference)>> {
        let (rows, all, usual) = (generated.features()?, reference.features()?, KernelSubsets::default());
        let size = rows.count().min(all.count()).min(usual.size);
        let score = rows.kernel(all, &KernelSubsets { size, ..usual })?;
        Ok(vec![(score, reference.all_rows()?)])
    }
}

impl ImageFeatures {
    /// Kernel distance of these (generated) images from a reference; called KID in Inception's pool3.
    ///
    /// # Errors
    /// When the spaces differ or either side has fewer images than a subset.
    pub fn kernel(&self, reference: &Self, subsets: &KernelSubsets) -> Result<Score> {
        same_space("ImageFeatures::kernel", self.space(), reference.space())?;
        let found = kernel_distance_subsets(&self.rows()?, &reference.rows()?, subsets)?;
        let KernelSubsets { count, size, seed } = *subsets;
        let estimate = Estimate::Subsets { count, size, seed, deviation: found.deviation };
        self.score(Statistic::Kernel, found.mean, estimate, ReferenceCount::Measured(reference.count()))
    }
}

/// Random subsets, drawn without replacement from both sets. Subset `i` is a function of the seed and `i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelSubsets {
    /// Number of subsets.
    pub count: u32,
    /// Rows per subset, from each set.
    pub size: u64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for KernelSubsets {
    /// 100 subsets of 1000, as in the paper's code and its descendants.
    fn default() -> Self {
        Self { count: 100, size: 1000, seed: 0 }
    }
}

/// Kernel distance over subsets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SubsetMean {
    /// Mean over the subsets.
    pub mean: f64,
    /// Standard deviation over the subsets (divisor: their number), which is not the standard error of the mean.
    pub deviation: f64,
}

/// Kernel distance between all rows of two sets, in f64. Memory use besides the rows is bounded.
///
/// # Shapes
/// `x [n, d]`, `y [m, d]`, any real kind; `n, m >= 2`; computed on the device of `x`.
///
/// # Errors
/// Wrong shapes, fewer than two rows, non-finite features, failures of libtorch.
pub fn kernel_distance(x: &Tensor, y: &Tensor) -> Result<f64> {
    let (x, y) = both("kernel_distance", x, y)?;
    unbiased(&x, &y)
}

/// Mean and deviation of the kernel distance over random subsets.
///
/// # Shapes
/// As [`kernel_distance`]; `n, m >= size`.
///
/// # Errors
/// As [`kernel_distance`]; fewer rows than a subset has, no subsets, or subsets of fewer than two.
pub fn kernel_distance_subsets(x: &Tensor, y: &Tensor, subsets: &KernelSubsets) -> Result<SubsetMean> {
    const OPERATION: &str = "kernel_distance_subsets";
    let (x, y) = both(OPERATION, x, y)?;
    let KernelSubsets { count, size, seed } = *subsets;
    if count == 0 || size < 2 {
        let (expected, got) = ("a subset or more, of 2 rows or more".to_owned(), format!("{subsets:?}"));
        return Err(Error::Input { operation: OPERATION, expected, got });
    }
    for rows in [&x, &y] {
        let got = rows.size()[0] as u64;
        if got < size {
            return Err(Error::TooFew { operation: OPERATION, expected: size, got });
        }
    }
    let key = Key::new(seed, 0, Stream::Evaluation);
    let draw = |n: u64, rows: &Tensor| -> Result<Tensor> {
        let order = key.permutation(n, rows.size()[0] as usize);
        let chosen: Vec<i64> = order[..size as usize].iter().map(|&i| i64::from(i)).collect();
        let chosen = Tensor::f_from_slice(&chosen).and_then(|t| t.f_to_device(rows.device()));
        chosen.and_then(|chosen| rows.f_index_select(0, &chosen)).during(OPERATION)
    };
    let jobs = (0..u64::from(count)).map(|i| (i, x.shallow_clone(), y.shallow_clone()));
    let values = in_order(jobs, LARGE, |(i, x, y)| unbiased(&draw(2 * i, &x)?, &draw(2 * i + 1, &y)?))?;
    let mean = values.iter().sum::<f64>() / f64::from(count);
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(count);
    Ok(SubsetMean { mean, deviation: variance.sqrt() })
}

/// Checks that both sets have finite rows of the same width, and at least two.
fn both(operation: &'static str, x: &Tensor, y: &Tensor) -> Result<(Tensor, Tensor)> {
    let x = checked_rows(operation, x, None)?;
    let y = checked_rows(operation, y, Some(x.size()[1] as usize))?;
    let y = y.f_to_device(x.device()).during(operation)?;
    for rows in [&x, &y] {
        all_finite(operation, rows, 0)?;
        let got = rows.size()[0] as u64;
        if got < 2 {
            return Err(Error::TooFew { operation, expected: 2, got });
        }
    }
    Ok((x, y))
}

fn unbiased(x: &Tensor, y: &Tensor) -> Result<f64> {
    let (n, m) = (x.size()[0] as f64, y.size()[0] as f64);
    let value = within(x)? / (n * (n - 1.0)) + within(y)? / (m * (m - 1.0)) - 2.0 * between(x, y)? / (n * m);
    if value.is_finite() {
        return Ok(value);
    }
    let (expected, got) = ("features whose sixth powers are finite".to_owned(), value.to_string());
    Err(Error::Input { operation: "kernel distance", expected, got })
}

/// Sum of `k(x_i, x_j)` over `i != j`. Computes each pair of tiles once.
fn within(x: &Tensor) -> Result<f64> {
    let tiles = tiles(x)?;
    let jobs = pairs(tiles.len()).filter(|(i, j)| i <= j);
    let jobs = jobs.map(|(i, j)| (i == j, tiles[i].shallow_clone(), tiles[j].shallow_clone()));
    let sums = in_order(jobs, LARGE, |(diagonal, a, b)| {
        let sum = tile_sum(&a, &b)?;
        Ok(if diagonal { sum - diagonal_sum(&a)? } else { 2.0 * sum })
    })?;
    Ok(sums.iter().sum())
}

/// Sum of `k(x_i, y_j)` over all pairs.
fn between(x: &Tensor, y: &Tensor) -> Result<f64> {
    let (x, y) = (tiles(x)?, tiles(y)?);
    let jobs = x.iter().flat_map(|a| y.iter().map(|b| (a.shallow_clone(), b.shallow_clone())));
    Ok(in_order(jobs, LARGE, |(a, b)| tile_sum(&a, &b))?.iter().sum())
}

fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (0..n).map(move |j| (i, j)))
}

fn tiles(rows: &Tensor) -> Result<Vec<Tensor>> {
    rows.f_split(TILE, 0).during("tiles of rows")
}

fn tile_sum(a: &Tensor, b: &Tensor) -> Result<f64> {
    const OPERATION: &str = "kernel matrix";
    let d = a.size()[1] as f64;
    let (a, b) = (a.f_to_kind(Kind::Double), b.f_to_kind(Kind::Double));
    let (a, b) = (a.during(OPERATION)?, b.and_then(|b| b.f_tr()).during(OPERATION)?);
    cubed_sum(a.f_mm(&b).during(OPERATION)?, d)
}

/// Sum of `k(x_i, x_i)`.
fn diagonal_sum(rows: &Tensor) -> Result<f64> {
    const OPERATION: &str = "kernel diagonal";
    let d = rows.size()[1] as f64;
    let rows = rows.f_to_kind(Kind::Double).and_then(|r| r.f_square()).during(OPERATION)?;
    let norms = rows.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double).during(OPERATION)?;
    cubed_sum(norms, d)
}

/// Sum of `(product / d + 1)^3`. Overwrites the products.
fn cubed_sum(products: Tensor, d: f64) -> Result<f64> {
    const OPERATION: &str = "cubes of a kernel matrix";
    let mut base = products;
    let _ = base.mul_number_(1.0 / d).and_then(|mut t| t.add_number_(1.0)).during(OPERATION)?;
    let squares = base.f_square().and_then(|t| t.f_flatten(0, -1)).during(OPERATION)?;
    let cubes = base.f_flatten(0, -1).and_then(|t| t.f_dot(&squares));
    cubes.and_then(|t| t.f_double_value(&[])).during(OPERATION)
}

#[cfg(test)]
mod tests;
