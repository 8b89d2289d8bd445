//! Variance and bias of a Frechet distance, estimated from the generated rows.
//!
//! [`frechet_interval`] is a bootstrap (Efron 1979): it draws the rows again with replacement and computes the distance
//! of every draw. A draw repeats rows, so its distance is larger on average, by about the bias that the distance
//! already has; the interval is shifted back by this amount. It shows how the value would vary over other samples of
//! the same size.
//!
//! [`frechet_infinity`] removes the bias (Chong and Forsyth 2020, arXiv 1911.07023): the bias falls as 1/N, so a line
//! in 1/N is fitted to distances at several sizes N, and its intercept is the distance at infinity. Both keep the
//! reference fixed.

use crate::error::{During, Error, Result};
use crate::frechet::frechet_distance;
use crate::gaussian::Gaussian;
use crate::moments::Moments;
use crate::rows::{all_finite, checked_rows};
use crate::workers::{LARGE, in_order};
use fewstep_random::{Key, Stream};
use std::num::NonZero;
use tch::{Device, Tensor};

/// Rows gathered and summed at a time.
const CHUNK: usize = 4096;

/// Settings of [`frechet_interval`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Number of draws.
    pub resamples: u32,
    /// Share of draws inside the interval, in (0, 1).
    pub level: f64,
    /// Seed of the draws; draw `i` is a function of the seed and `i`.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 50, level: 0.95, seed: 0 }
    }
}

/// A distance with its bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Distance of the rows themselves.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Standard deviation over the draws.
    pub deviation: f64,
    /// Mean over the draws minus `value`: an estimate of the bias of `value`.
    pub bias: f64,
}

/// Settings of [`frechet_infinity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extrapolation {
    /// Number of sizes, evenly spaced up to all rows.
    pub points: u32,
    /// The smallest size.
    pub smallest: u64,
    /// Seed of the subsets; the subset at point `i` is a function of the seed and `i`.
    pub seed: u64,
}

impl Default for Extrapolation {
    /// 15 sizes from 5,000, as in the paper.
    fn default() -> Self {
        Self { points: 15, smallest: 5000, seed: 0 }
    }
}

/// A line fitted to distances as a function of 1/N.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Distance at infinity.
    pub intercept: f64,
    /// Slope: a distance at size N has the bias `slope / N`.
    pub slope: f64,
    /// Root mean square distance of the points from the line.
    pub residual: f64,
    /// Sizes and distances.
    pub points: Vec<(u64, f64)>,
}

/// Distance of rows from a reference, with its bootstrap interval: quantiles of the draws minus their mean bias.
///
/// # Shapes
/// `rows [n, d]`, any real kind, `n >= 2`; `reference` of width d.
///
/// # Errors
/// Wrong shapes, too few rows, fewer than two draws, a level outside (0, 1), non-finite features.
pub fn frechet_interval(rows: &Tensor, reference: &Gaussian, settings: &Bootstrap) -> Result<Interval> {
    const OPERATION: &str = "frechet_interval";
    let Bootstrap { resamples, level, seed } = *settings;
    if resamples < 2 || !(level > 0.0 && level < 1.0) {
        let (expected, got) = ("two draws or more, a level in (0, 1)".to_owned(), format!("{settings:?}"));
        return Err(Error::Input { operation: OPERATION, expected, got });
    }
    let rows = finite_rows(OPERATION, rows, reference)?;
    let none = Error::TooFew { operation: OPERATION, expected: 2, got: 0 };
    let n = NonZero::new(rows.size()[0] as u64).ok_or(none)?;
    let all: Vec<i64> = (0..n.get() as i64).collect();
    let value = distance_of(&rows, &all, reference)?;
    let jobs = (0..u64::from(resamples)).map(|i| (i, rows.shallow_clone()));
    let mut draws = in_order(jobs, LARGE, |(i, rows)| {
        let key = Key::new(seed, i, Stream::Evaluation);
        let chosen: Vec<i64> = (0..n.get()).map(|j| key.below(j, n) as i64).collect();
        distance_of(&rows, &chosen, reference)
    })?;
    let mean = draws.iter().sum::<f64>() / draws.len() as f64;
    let squares: f64 = draws.iter().map(|d| (d - mean).powi(2)).sum();
    draws.sort_by(f64::total_cmp);
    let bias = mean - value;
    let tail = (1.0 - level) / 2.0;
    Ok(Interval {
        value,
        low: quantile(&draws, tail) - bias,
        high: quantile(&draws, 1.0 - tail) - bias,
        deviation: (squares / (draws.len() - 1) as f64).sqrt(),
        bias,
    })
}

/// Distance of rows from a reference, extrapolated to infinitely many rows.
///
/// # Shapes
/// `rows [n, d]`, any real kind, `n > smallest`; `reference` of width d.
///
/// # Errors
/// Wrong shapes, too few rows, fewer than two points, sizes below two, non-finite features.
pub fn frechet_infinity(rows: &Tensor, reference: &Gaussian, settings: &Extrapolation) -> Result<Line> {
    const OPERATION: &str = "frechet_infinity";
    let Extrapolation { points, smallest, seed } = *settings;
    if points < 2 || smallest < 2 {
        let (expected, got) = ("two points or more, of two rows or more".to_owned(), format!("{settings:?}"));
        return Err(Error::Input { operation: OPERATION, expected, got });
    }
    let rows = finite_rows(OPERATION, rows, reference)?;
    let n = rows.size()[0] as u64;
    if n <= smallest {
        return Err(Error::TooFew { operation: OPERATION, expected: smallest + 1, got: n });
    }
    let key = Key::new(seed, 0, Stream::Evaluation);
    let size = |i: u32| smallest + (n - smallest) * u64::from(i) / u64::from(points - 1);
    let jobs = (0..points).map(|i| (i, rows.shallow_clone()));
    let points = in_order(jobs, LARGE, |(i, rows)| {
        let order = key.permutation(u64::from(i), n as usize);
        let chosen: Vec<i64> = order[..size(i) as usize].iter().map(|&j| i64::from(j)).collect();
        Ok((size(i), distance_of(&rows, &chosen, reference)?))
    })?;
    Ok(fitted_line(points))
}

fn finite_rows(operation: &'static str, rows: &Tensor, reference: &Gaussian) -> Result<Tensor> {
    let rows = checked_rows(operation, rows, Some(reference.width()))?;
    all_finite(operation, &rows, 0)?;
    Ok(rows)
}

/// Distance of the chosen rows, which are gathered in chunks to bound memory.
fn distance_of(rows: &Tensor, chosen: &[i64], reference: &Gaussian) -> Result<f64> {
    let mut moments = Moments::new(reference.width(), Device::Cpu)?;
    for chunk in chosen.chunks(CHUNK) {
        let chunk = Tensor::f_from_slice(chunk).and_then(|t| t.f_to_device(rows.device()));
        let gathered = chunk.and_then(|chunk| rows.f_index_select(0, &chunk)).during("draw of rows")?;
        moments.push(&gathered)?;
    }
    frechet_distance(&moments.gaussian()?, reference)
}

/// A quantile of sorted values, interpolated between the two nearest.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

/// Least-squares fit of distances by a line in 1/N.
fn fitted_line(points: Vec<(u64, f64)>) -> Line {
    let n = points.len() as f64;
    let xs: Vec<f64> = points.iter().map(|(size, _)| 1.0 / *size as f64).collect();
    let mean_x = xs.iter().sum::<f64>() / n;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / n;
    let (mut xy, mut xx) = (0.0, 0.0);
    for (x, (_, y)) in xs.iter().zip(&points) {
        xy += (x - mean_x) * (y - mean_y);
        xx += (x - mean_x).powi(2);
    }
    let slope = xy / xx;
    let intercept = mean_y - slope * mean_x;
    let misses = xs.iter().zip(&points).map(|(x, (_, y))| (y - intercept - slope * x).powi(2));
    let residual = (misses.sum::<f64>() / n).sqrt();
    Line { intercept, slope, residual, points }
}

#[cfg(test)]
mod tests;
