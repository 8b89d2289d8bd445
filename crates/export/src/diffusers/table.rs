//! The levels that a student visits, as the table of a `DDIMScheduler`.
//!
//! With `N` rows and `K` steps, a `DDIMScheduler` of trailing spacing visits every `N / K`-th row, the last of each part.
//! So a table with as many rows per step, whose last are the student's levels, is walked exactly, whatever the partition.
//!
//! The table is stored as betas and multiplied up in f32 by whoever reads it. A level that falls a thousandfold in one row
//! needs `1 - beta = 0.001`, which f32 keeps to 6e-5 only; so a step has as many rows as keep every factor above
//! [`LEAST_FACTOR`], and each beta makes up for the rounding of those before it.

use fewstep_schedules::{NoiseGrid, NoiseLevel};

use crate::error::{Error, Result};

/// The least factor between two rows: one rounding of f32 in beta is then below 6e-7 of it.
const LEAST_FACTOR: f64 = 0.1;
/// Farthest that a level may be from unit variance.
const UNIT: f64 = 1e-9;
/// The most noise, relative to the image, at which sampling may end: the table ends without any. A tenth of the step between
/// two 8-bit values, as a standard deviation, is 8e-4.
const CLEAN: f64 = 1e-4;
/// Gamma below which f32 tables hold 0.
const NOTHING: f64 = 1e-30;

/// A table of betas.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    /// One per row, f32 values.
    pub(crate) betas: Vec<f32>,
    /// Rows per step.
    pub(crate) rows_per_step: usize,
}

impl Table {
    /// The table that visits the levels of `grid`.
    pub(crate) fn of(grid: &NoiseGrid) -> Result<Self> {
        let refuse = |what: String, instead| Err(Error::Inexpressible { format: super::NAME, what, instead });
        if let Some(level) = grid.levels().iter().find(|l| (l.alpha.hypot(l.sigma) - 1.0).abs() > UNIT) {
            let NoiseLevel { alpha, sigma } = level;
            return refuse(
                format!("the level alpha {alpha}, sigma {sigma}, whose states have no unit variance"),
                super::USE_TORCH,
            );
        }
        let clean = grid.first();
        if clean.sigma > CLEAN * clean.alpha {
            return refuse(
                format!("sampling that ends at noise of {}", clean.sigma),
                "its scheduler ends without noise; train the student with `schedule.clean_end = \"no_noise\"`",
            );
        }
        let gammas: Vec<f64> = grid.levels().iter().map(|l| l.alpha * l.alpha).collect();
        let factors: Vec<f64> =
            std::iter::once(gammas[1]).chain(gammas[1..].windows(2).map(|pair| pair[1] / pair[0])).collect();
        let needed =
            |factor: f64| if factor < NOTHING { 1.0 } else { (factor.ln() / LEAST_FACTOR.ln()).ceil() };
        let rows_per_step = factors.iter().map(|&factor| needed(factor)).fold(1.0, f64::max) as usize;
        let mut betas = Vec::with_capacity(rows_per_step * factors.len());
        let (mut before, mut running) = (1.0f64, 1.0f64);
        for (&gamma, &factor) in gammas[1..].iter().zip(&factors) {
            for row in 1..=rows_per_step {
                let wanted = match row {
                    _ if row == rows_per_step => gamma,
                    // Any falling values do on the way to nothing.
                    _ if factor < NOTHING => before * 0.5f64.powi(row as i32),
                    _ => before * factor.powf(row as f64 / rows_per_step as f64),
                };
                let beta = (1.0 - wanted / running) as f32;
                running *= f64::from(1.0 - beta);
                betas.push(beta);
            }
            before = gamma;
        }
        Ok(Self { betas, rows_per_step })
    }

    /// Gamma of each row, as the reader of the table computes it.
    pub(crate) fn gammas(&self) -> Vec<f64> {
        let mut running = 1.0f64;
        self.betas
            .iter()
            .map(|&beta| {
                running *= f64::from(1.0 - beta);
                f64::from(running as f32)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewstep_schedules::{BetaTable, Schedule};

    fn visited(grid: &NoiseGrid, indices: &[usize]) -> NoiseGrid {
        grid.visited(indices).unwrap()
    }

    #[test]
    fn the_last_row_of_every_step_is_the_level() {
        let ddpm = BetaTable::default().grid(1000).unwrap();
        let cosine = Schedule::default().grid(1024).unwrap();
        for grid in [
            visited(&ddpm, &[0, 1000]),
            visited(&ddpm, &[0, 333, 667, 1000]),
            visited(&ddpm, &[0, 1, 2, 3, 1000]),
            visited(&cosine, &[0, 512, 1024]),
            visited(&cosine, &[0, 4, 16, 1023, 1024]),
        ] {
            let table = Table::of(&grid).unwrap();
            let (gammas, rows) = (table.gammas(), table.rows_per_step);
            assert_eq!(gammas.len(), rows * grid.steps());
            for (step, level) in grid.levels()[1..].iter().enumerate() {
                let (got, want) = (gammas[(step + 1) * rows - 1], level.alpha * level.alpha);
                assert!((got - want).abs() < 1e-6 * want, "{got} {want}");
            }
            assert!(gammas.windows(2).all(|pair| pair[1] < pair[0]));
        }
    }

    #[test]
    fn zero_signal_at_the_end_is_exact() {
        let table = BetaTable { zero_terminal_snr: true, ..BetaTable::default() };
        let grid = table.grid(1000).unwrap();
        let table = Table::of(&visited(&grid, &[0, 500, 1000])).unwrap();
        assert_eq!(table.gammas().last(), Some(&0.0));
    }

    #[test]
    fn other_levels_are_refused() {
        let line = NoiseGrid::new(vec![
            NoiseLevel { alpha: 1.0, sigma: 0.0 },
            NoiseLevel { alpha: 0.5, sigma: 0.5 },
        ]);
        let e = Table::of(&line.unwrap()).unwrap_err().to_string();
        assert!(e.contains("no unit variance") && e.contains("torch"), "{e}");
        let noisy = NoiseGrid::new(vec![NoiseLevel::from_log_snr(5.0), NoiseLevel::from_log_snr(-5.0)]);
        let e = Table::of(&noisy.unwrap()).unwrap_err().to_string();
        assert!(e.contains("clean_end"), "{e}");
    }
}
