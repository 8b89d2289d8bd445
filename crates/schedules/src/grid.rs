//! Grids: the noise levels that steps go between, from clean to noise.

use crate::error::{Error, Result, check};
use crate::level::NoiseLevel;

/// The largest number of steps of a grid: a thousand times what is used, and small enough that a number from a damaged
/// file cannot exhaust memory.
pub const MAX_STEPS: usize = 1 << 20;

/// Noise levels at the indices `0..=T` of a time grid, from clean to noise.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseGrid {
    levels: Vec<NoiseLevel>,
}

impl NoiseGrid {
    /// A grid of these levels, clean end first.
    ///
    /// # Errors
    /// Fewer than two levels, or noise that does not grow with the index.
    pub fn new(levels: Vec<NoiseLevel>) -> Result<Self> {
        check(levels.len() >= 2, "levels", levels.len() as f64, "at least two levels")?;
        for pair in levels.windows(2) {
            DirectionCheck { from: pair[1], to: pair[0] }.validate()?;
        }
        Ok(Self { levels })
    }

    /// The number of steps `T` (one less than the number of levels).
    pub fn steps(&self) -> usize {
        self.levels.len() - 1
    }

    /// The level at `index`.
    ///
    /// # Errors
    /// An index past the end.
    pub fn level(&self, index: usize) -> Result<NoiseLevel> {
        self.levels.get(index).copied().ok_or(Error::NotOnGrid { index, steps: self.steps() })
    }

    /// The clean end.
    pub fn first(&self) -> NoiseLevel {
        self.levels[0]
    }

    /// The noise end.
    pub fn last(&self) -> NoiseLevel {
        // A grid has at least two levels.
        self.levels[self.levels.len() - 1]
    }

    /// All levels, clean end first.
    pub fn levels(&self) -> &[NoiseLevel] {
        &self.levels
    }

    /// The sub-grid of `steps` equal index strides: indices `T k / steps`.
    ///
    /// # Errors
    /// `steps` does not divide `T`.
    pub fn every(&self, steps: usize) -> Result<Self> {
        let total = self.steps();
        if steps == 0 || !total.is_multiple_of(steps) {
            return Err(Error::NoSubGrid { steps: total, wanted: steps });
        }
        Self::new((0..=steps).map(|k| self.levels[k * (total / steps)]).collect())
    }

    /// The levels at these indices, ascending.
    ///
    /// # Errors
    /// Fewer than two indices, indices that do not ascend, or one past the end.
    pub fn visited(&self, indices: &[usize]) -> Result<Self> {
        Self::new(indices.iter().map(|&index| self.level(index)).collect::<Result<_>>()?)
    }

    /// Whether the states at the noise end have unit variance, `alpha^2 + sigma^2 = 1`; else `alpha = 1` there. It says
    /// nothing of the levels below: flow matching's line ends at noise alone, and is not variance preserving before.
    pub fn is_variance_preserving(&self) -> bool {
        self.last().alpha != 1.0
    }
}

/// The check that grids and steps share: `sigma / alpha` must strictly shrink from `from` to `to`. It is infinite at
/// `alpha = 0`, noise alone, which can only be where a step starts.
pub(crate) struct DirectionCheck {
    pub(crate) from: NoiseLevel,
    pub(crate) to: NoiseLevel,
}

impl DirectionCheck {
    pub(crate) fn validate(&self) -> Result<()> {
        let ratio = |l: NoiseLevel| l.sigma / l.alpha;
        let ok = self.from.alpha >= 0.0 && self.to.alpha > 0.0 && ratio(self.to) < ratio(self.from);
        if ok {
            Ok(())
        } else {
            Err(Error::StepDirection {
                from: (self.from.alpha, self.from.sigma),
                to: (self.to.alpha, self.to.sigma),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Schedule;

    #[test]
    fn a_sub_grid_needs_a_divisor() {
        let grid = Schedule::default().grid(64).unwrap();
        assert_eq!(grid.every(8).unwrap().level(1).unwrap(), grid.level(8).unwrap());
        assert!(grid.every(7).unwrap_err().to_string().contains("7 does not divide 64"));
        assert!(grid.every(0).is_err());
        assert!(grid.level(65).unwrap_err().to_string().contains("index 65 is not on the grid of 64 steps"));
    }
}
