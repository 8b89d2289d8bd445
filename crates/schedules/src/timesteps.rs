//! A beta table that has been computed: the levels of integer timesteps, and grids of them.

use crate::error::{Error, Result, check};
use crate::grid::NoiseGrid;
use crate::level::NoiseLevel;
use crate::noise_schedule::NoiseSchedule;
use serde::{Deserialize, Serialize};

/// Where sampling ends: what the step from the last visited timestep lands on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CleanEnd {
    /// At the network's answer, without noise (diffusers' `set_alpha_to_one`).
    #[default]
    NoNoise,
    /// At the level of timestep 0. No step can then start there, so more than 2/3 as many steps as timesteps are refused.
    First,
}

/// The levels of the timesteps `0..N`, at least one, and the level at which sampling ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Timesteps {
    levels: Vec<NoiseLevel>,
    clean_end: CleanEnd,
}

impl Timesteps {
    /// Of `levels` with growing noise, at least one.
    pub(crate) fn new(levels: Vec<NoiseLevel>, clean_end: CleanEnd) -> Self {
        Self { levels, clean_end }
    }

    /// The level at which sampling ends.
    pub(crate) fn clean(&self) -> NoiseLevel {
        match self.clean_end {
            CleanEnd::NoNoise => NoiseLevel { alpha: 1.0, sigma: 0.0 },
            CleanEnd::First => self.levels[0],
        }
    }

    /// The grid that [`crate::BetaTable::at_timesteps`] describes.
    pub(crate) fn visited(&self, timesteps: &[usize]) -> Result<NoiseGrid> {
        let mut least = usize::from(self.clean_end == CleanEnd::First);
        let mut levels = vec![self.clean()];
        for &timestep in timesteps {
            let got = timestep as f64;
            let expected = match (levels.len(), least) {
                (1, 0) => "a timestep of the table",
                (1, _) => "at least 1, because the clean end is timestep 0",
                _ => "above the timestep before it",
            };
            check(timestep >= least, "timestep", got, expected)?;
            check(timestep < self.levels.len(), "timestep", got, "below the number of timesteps")?;
            levels.push(self.levels[timestep]);
            least = timestep + 1;
        }
        NoiseGrid::new(levels)
    }
}

impl NoiseSchedule for Timesteps {
    /// The level of timestep `floor(t N)`, and of the last one at `t = 1`: a time drawn uniformly from `(0, 1]` is a
    /// timestep drawn uniformly.
    fn at(&self, t: f64) -> NoiseLevel {
        let n = self.levels.len();
        // A cast of a negative number, or of no number, is 0.
        self.levels[((t * n as f64) as usize).min(n - 1)]
    }

    /// The grid that [`crate::BetaTable::grid`] describes.
    fn grid(&self, steps: usize) -> Result<NoiseGrid> {
        let n = self.levels.len();
        check((1..=n).contains(&steps), "steps", steps as f64, "from 1 to the number of timesteps")?;
        // round(i n / steps), halves up, in integers; at most 2^20 of each, so nothing overflows.
        let timesteps: Vec<usize> = (1..=steps).map(|i| (2 * i * n + steps) / (2 * steps) - 1).collect();
        if self.clean_end == CleanEnd::First && timesteps[0] == 0 {
            return Err(Error::CleanEndTwice { steps, timesteps: n, most: 2 * n / 3 });
        }
        self.visited(&timesteps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BetaTable, Betas};

    fn table(betas: Betas, timesteps: usize) -> BetaTable {
        BetaTable { betas, timesteps, ..BetaTable::default() }
    }

    #[test]
    fn the_grid_takes_its_levels_from_the_table() {
        let table = table(Betas::default(), 10);
        let levels = table.levels().unwrap();
        let of = |steps| {
            let grid = table.grid(steps).unwrap();
            assert_eq!(grid.first(), NoiseLevel { alpha: 1.0, sigma: 0.0 });
            let timestep = |level| levels.iter().position(|l| l == level).unwrap();
            grid.levels()[1..].iter().map(timestep).collect::<Vec<_>>()
        };
        assert_eq!(of(10), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(of(5), [1, 3, 5, 7, 9]);
        // 2.5 and 7.5 are halves, and go up.
        assert_eq!(of(4), [2, 4, 7, 9]);
        assert_eq!(of(3), [2, 6, 9]);
        assert_eq!(of(1), [9]);
        for steps in [0, 11] {
            assert!(table.grid(steps).unwrap_err().to_string().contains("number of timesteps"));
        }
        let leading = table.at_timesteps(&[0, 3, 8]).unwrap();
        assert_eq!(leading.levels()[1..], [levels[0], levels[3], levels[8]]);
        for (timesteps, says) in [(&[3, 10][..], "below"), (&[3, 3], "before it"), (&[4, 3], "before it")] {
            let e = table.at_timesteps(timesteps).unwrap_err().to_string();
            assert!(e.contains(says), "{e}");
        }
        assert!(table.at_timesteps(&[]).is_err());
    }

    #[test]
    fn a_sub_grid_of_a_grid_is_the_grid_of_as_many_steps() {
        let table = table(Betas::SquaredCosine {}, 1000);
        for (steps, sub) in [(64, 8), (1000, 250), (30, 10)] {
            assert_eq!(table.grid(steps).unwrap().every(sub).unwrap(), table.grid(sub).unwrap());
        }
    }

    #[test]
    fn timestep_0_is_not_visited_twice() {
        let first = BetaTable { clean_end: CleanEnd::First, ..table(Betas::default(), 10) };
        assert_eq!(first.clean().unwrap(), first.levels().unwrap()[0]);
        assert_eq!(first.grid(6).unwrap().first(), first.levels().unwrap()[0]);
        for steps in [7, 10] {
            let e = first.grid(steps).unwrap_err().to_string();
            assert!(e.contains("timestep 0") && e.contains("at most 6 steps"), "{e}");
        }
        for timesteps in 2..20 {
            let first = BetaTable { timesteps, ..first.clone() };
            let most = first.most_steps();
            assert!(first.grid(most).is_ok() && first.grid(most + 1).is_err(), "{timesteps}");
        }
        assert!(first.at_timesteps(&[0, 5]).unwrap_err().to_string().contains("clean end"));
        assert!(first.at_timesteps(&[1, 5]).is_ok());
    }

    #[test]
    fn uniform_times_are_uniform_timesteps() {
        let table = table(Betas::default(), 8);
        let (levels, timesteps) = (table.levels().unwrap(), table.timesteps().unwrap());
        for (t, timestep) in [(0.0, 0), (0.124, 0), (0.125, 1), (0.99, 7), (1.0, 7), (-1.0, 0), (2.0, 7)] {
            assert_eq!(timesteps.at(t), levels[timestep], "{t}");
        }
        let mut counts = [0; 8];
        for k in 1..=800 {
            let level = timesteps.at((f64::from(k) - 0.5) / 800.0);
            counts[levels.iter().position(|&l| l == level).unwrap()] += 1;
        }
        assert_eq!(counts, [100; 8]);
    }
}
