//! How a number was estimated.

use serde::{Deserialize, Serialize};

/// How a number was estimated from the rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Estimate {
    /// The statistic of all rows.
    Whole,
    /// The mean over random subsets of both sides.
    Subsets {
        /// Number of subsets.
        count: u32,
        /// Images per subset, from each side.
        size: u64,
        /// Seed of the draws.
        seed: u64,
        /// Standard deviation over the subsets.
        deviation: f64,
    },
    /// The statistic of all rows, with an interval from draws of the generated rows with replacement.
    Bootstrap {
        /// Number of draws.
        resamples: u32,
        /// Seed of the draws.
        seed: u64,
        /// Share of draws inside the interval.
        level: f64,
        /// Lower end of the interval.
        low: f64,
        /// Upper end of the interval.
        high: f64,
        /// Standard deviation over the draws.
        deviation: f64,
    },
    /// The intercept of a line in 1/N fitted to values at several sizes N.
    Extrapolated {
        /// Number of sizes.
        points: u32,
        /// The smallest size; the largest is all images.
        smallest: u64,
        /// Seed of the draws.
        seed: u64,
        /// The line's slope.
        slope: f64,
        /// Root mean square distance of the values from the line.
        residual: f64,
    },
}
