//! The noise levels that a model's sampling visits.

use anyhow::{Context, Result};
use fewstep_schedules::NoiseGrid;
use fewstep_train::{ModelCard, Role};

/// The levels of `steps` steps, or those that the model was made for.
///
/// A teacher knows every level, so any number of steps makes a grid of its own. A student was taught on one grid: it can
/// take a part of it, at even distances.
pub(crate) fn levels(card: &ModelCard, steps: Option<usize>) -> Result<NoiseGrid> {
    let grid = card.schedule.grid(card.timesteps)?;
    match steps {
        Some(n) if card.role == Role::Teacher => {
            Ok(card.schedule.grid(n).with_context(|| format!("{n} steps"))?)
        }
        Some(n) if n + 1 == card.visits.len() => visited(&grid, &card.visits),
        Some(n) => grid.every(n).with_context(|| {
            format!(
                "the student's grid has {} steps, of which a divisor can be taken, not {n}",
                card.timesteps
            )
        }),
        None => visited(&grid, &card.visits),
    }
}

fn visited(grid: &NoiseGrid, visits: &[usize]) -> Result<NoiseGrid> {
    let levels: Result<Vec<_>, _> = visits.iter().map(|&i| grid.level(i)).collect();
    Ok(NoiseGrid::new(levels.context("the levels that the model visits")?)?)
}
