//! Improved precision and recall (Kynkaanniemi et al. 2019, arXiv 1904.06991). The manifold of a set is the union of
//! balls around its rows; each ball reaches to the row's k-th nearest neighbour in the set, not counting the row
//! itself. Precision is the share of generated rows inside the reference's manifold; recall is the share of reference
//! rows inside the generated rows' manifold.
//!
//! Distances are computed one tile at a time, so memory use besides the rows does not grow with their number. They are
//! in f64, from rows centred on one point, which changes no distance but reduces cancellation in
//! `|x|^2 + |y|^2 - 2 x.y`.

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
use fewstep_torch::ScalarOps;
use tch::{Kind, Tensor};

const OPERATION: &str = "precision_recall";

/// Rows per tile of the distance matrix. At pool3's width every large temporary then exceeds the size above which an
/// allocator returns memory to the system at once; smaller temporaries would add up to gigabytes of unused memory.
const TILE: i64 = 2048;

/// Neighbours, as published numbers have it.
const NEIGHBOURS: u32 = 3;

/// Improved precision and recall at the third nearest neighbour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Improved;

impl Metric for Improved {
    fn name(&self) -> &str {
        "precision-recall"
    }

    fn fewest(&self) -> (u64, u64) {
        let least = u64::from(NEIGHBOURS) + 1;
        (least, least)
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
        let named = reference.all_rows()?;
        let (precision, recall) =
            generated.features()?.precision_recall(reference.features()?, NEIGHBOURS)?;
        Ok(vec![(precision, named.clone()), (recall, named)])
    }
}

impl ImageFeatures {
    /// Precision and recall of these (generated) images against a reference.
    ///
    /// # Errors
    /// When the spaces differ or either side has too few images.
    pub fn precision_recall(&self, reference: &Self, neighbours: u32) -> Result<(Score, Score)> {
        same_space("ImageFeatures::precision_recall", self.space(), reference.space())?;
        let found = precision_recall(&self.rows()?, &reference.rows()?, neighbours)?;
        let score = |statistic, value| {
            self.score(statistic, value, Estimate::Whole, ReferenceCount::Measured(reference.count()))
        };
        let precision = score(Statistic::Precision { neighbours }, found.precision)?;
        Ok((precision, score(Statistic::Recall { neighbours }, found.recall)?))
    }
}

/// Shares between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrecisionRecall {
    /// Share of generated rows inside the reference's manifold: quality.
    pub precision: f64,
    /// Share of reference rows inside the generated rows' manifold: diversity.
    pub recall: f64,
}

/// Precision and recall of `generated` against `reference`; the paper uses `neighbours = 3`.
///
/// # Shapes
/// `generated [n, d]`, `reference [m, d]`, any real kind; `n, m > neighbours`; computed on `generated`'s
/// device.
///
/// # Errors
/// Wrong shapes, `neighbours` 0, too few rows, non-finite features, failures of libtorch.
pub fn precision_recall(generated: &Tensor, reference: &Tensor, neighbours: u32) -> Result<PrecisionRecall> {
    if neighbours == 0 {
        let (expected, got) = ("a neighbour or more".to_owned(), "0".to_owned());
        return Err(Error::Input { operation: OPERATION, expected, got });
    }
    let generated = checked_rows(OPERATION, generated, None)?;
    let reference = checked_rows(OPERATION, reference, Some(generated.size()[1] as usize))?;
    let reference = reference.f_to_device(generated.device()).during(OPERATION)?;
    for rows in [&generated, &reference] {
        all_finite(OPERATION, rows, 0)?;
        let got = rows.size()[0] as u64;
        if got <= u64::from(neighbours) {
            return Err(Error::TooFew { operation: OPERATION, expected: u64::from(neighbours) + 1, got });
        }
    }
    let centre = reference.f_mean_dim([0i64].as_slice(), false, Kind::Double).during(OPERATION)?;
    let (generated, reference) = (tiles(&generated, &centre)?, tiles(&reference, &centre)?);
    let radii_g = squared_radii(&generated, i64::from(neighbours))?;
    let radii_r = squared_radii(&reference, i64::from(neighbours))?;
    let (inside_r, inside_g) = covered(&generated, &radii_g, &reference, &radii_r)?;
    Ok(PrecisionRecall { precision: share(&inside_r)?, recall: share(&inside_g)? })
}

/// Rows `[t, d]` as they were passed in, and the point to centre them on. Only tiles in use are centred, to save memory.
struct Tile {
    rows: Tensor,
    centre: Tensor,
}

impl Tile {
    fn shared(&self) -> Self {
        Self { rows: self.rows.shallow_clone(), centre: self.centre.shallow_clone() }
    }

    fn centred(&self) -> Result<Tensor> {
        let mut copy = self.rows.f_to_dtype(Kind::Double, false, true).during(OPERATION)?;
        let _ = copy.f_sub_(&self.centre).during(OPERATION)?;
        Ok(copy)
    }

    /// Squared distances to the rows of another tile, `[t, u]`.
    fn squared_distances(&self, other: &Self) -> Result<Tensor> {
        let (a, b) = (self.centred()?, other.centred()?);
        let norms =
            |t: &Tensor| t.f_square().and_then(|t| t.f_sum_dim_intlist([1i64].as_slice(), true, None));
        let (norms_a, norms_b) = (norms(&a).during(OPERATION)?, norms(&b).during(OPERATION)?);
        let mut squares = b.f_tr().and_then(|b| a.f_mm(&b)).during(OPERATION)?;
        let _ = squares.mul_number_(-2.0).and_then(|mut s| s.f_add_(&norms_a)).during(OPERATION)?;
        let _ = norms_b.f_tr().and_then(|n| squares.f_add_(&n)).during(OPERATION)?;
        squares.clamp_least(0.0).during(OPERATION)
    }
}

fn tiles(rows: &Tensor, centre: &Tensor) -> Result<Vec<Tile>> {
    let parts = rows.f_split(TILE, 0).during(OPERATION)?;
    Ok(parts.into_iter().map(|rows| Tile { rows, centre: centre.shallow_clone() }).collect())
}

/// Squared distance of every row from its k-th nearest other row, `[t]` per tile. Computes each pair of tiles once,
/// for the neighbours of both.
fn squared_radii(tiles: &[Tile], k: i64) -> Result<Vec<Tensor>> {
    let pairs = (0..tiles.len()).flat_map(|i| (i..tiles.len()).map(move |j| (i, j)));
    let jobs = pairs.map(|(i, j)| (i, j, tiles[i].shared(), tiles[j].shared()));
    let found = in_order(jobs, LARGE, |(i, j, a, b)| {
        let squares = a.squared_distances(&b)?;
        if i == j {
            let mut diagonal = squares.f_diagonal(0, 0, 1).during(OPERATION)?;
            let _ = diagonal.fill_number_(f64::INFINITY).during(OPERATION)?;
            return Ok(vec![(i, nearest(&squares, k)?)]);
        }
        let across = squares.f_tr().and_then(|t| t.f_contiguous()).during(OPERATION)?;
        Ok(vec![(i, nearest(&squares, k)?), (j, nearest(&across, k)?)])
    })?;
    let mut candidates: Vec<Vec<Tensor>> = tiles.iter().map(|_| Vec::new()).collect();
    found.into_iter().flatten().for_each(|(i, squares)| candidates[i].push(squares));
    let radius = |squares: Vec<Tensor>| -> Result<Tensor> {
        let nearest = Tensor::f_cat(&squares, 1).during(OPERATION).and_then(|all| nearest(&all, k))?;
        nearest.f_select(1, k - 1).during(OPERATION)
    };
    candidates.into_iter().map(radius).collect()
}

/// The `k` smallest values of each row, ascending; all values if a row has fewer.
fn nearest(squares: &Tensor, k: i64) -> Result<Tensor> {
    let k = k.min(squares.size()[1]);
    squares.f_topk(k, 1, false, true).map(|(values, _)| values).during(OPERATION)
}

/// Whether each row of `a` lies in a ball of `b`, and whether each row of `b` lies in a ball of `a`.
fn covered(a: &[Tile], radii_a: &[Tensor], b: &[Tile], radii_b: &[Tensor]) -> Result<(Tensor, Tensor)> {
    let pairs = (0..a.len()).flat_map(|i| (0..b.len()).map(move |j| (i, j)));
    let jobs = pairs.map(|(i, j)| {
        let radii = (radii_a[i].shallow_clone(), radii_b[j].shallow_clone());
        (i, j, a[i].shared(), b[j].shared(), radii)
    });
    let found = in_order(jobs, LARGE, |(i, j, a, b, (radii_a, radii_b))| {
        let squares = a.squared_distances(&b)?;
        let radii_a = radii_a.f_unsqueeze(1).during(OPERATION)?;
        let of_a = squares.f_le_tensor(&radii_b).and_then(|t| t.f_any_dim(1, false)).during(OPERATION)?;
        let of_b = squares.f_le_tensor(&radii_a).and_then(|t| t.f_any_dim(0, false)).during(OPERATION)?;
        Ok((i, j, of_a, of_b))
    })?;
    let mut inside_b: Vec<Vec<Tensor>> = a.iter().map(|_| Vec::new()).collect();
    let mut inside_a: Vec<Vec<Tensor>> = b.iter().map(|_| Vec::new()).collect();
    for (i, j, of_a, of_b) in found {
        inside_b[i].push(of_a);
        inside_a[j].push(of_b);
    }
    Ok((any(&inside_b)?, any(&inside_a)?))
}

/// For each row of each tile, whether any of the tile's answers is true; the tiles are concatenated.
fn any(answers: &[Vec<Tensor>]) -> Result<Tensor> {
    let joined = |answers: &Vec<Tensor>| Tensor::f_stack(answers, 0).and_then(|t| t.f_any_dim(0, false));
    let tiles: std::result::Result<Vec<Tensor>, _> = answers.iter().map(joined).collect();
    tiles.and_then(|tiles| Tensor::f_cat(&tiles, 0)).during(OPERATION)
}

fn share(inside: &Tensor) -> Result<f64> {
    let mean = inside.f_to_kind(Kind::Double).and_then(|t| t.f_mean(Kind::Double));
    mean.and_then(|t| t.f_double_value(&[])).during(OPERATION)
}

#[cfg(test)]
mod tests;
