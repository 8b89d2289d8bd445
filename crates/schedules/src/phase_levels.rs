//! A phase on its grid: what leaves the world of indices.

use crate::error::{Error, Result};
use crate::grid::NoiseGrid;
use crate::level::NoiseLevel;
use crate::plan::{Phase, PhasePlan, Transition};

/// A phase whose places are noise levels. The grid is asked here and nowhere later, so objectives see levels only, and a
/// plan cannot meet a grid that is not its own.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseLevels {
    phase: Phase,
    grid: NoiseGrid,
}

impl PhasePlan {
    /// The phases on the grid that their indices count in.
    ///
    /// # Errors
    /// A grid of another number of steps than the plan begins with.
    pub fn on(&self, grid: &NoiseGrid) -> Result<Vec<PhaseLevels>> {
        self.phases().iter().map(|phase| PhaseLevels::new(phase.clone(), grid.clone())).collect()
    }
}

impl PhaseLevels {
    /// `phase` on the grid that its indices count in.
    ///
    /// # Errors
    /// A grid of another number of steps.
    pub fn new(phase: Phase, grid: NoiseGrid) -> Result<Self> {
        if phase.grid_steps() == grid.steps() {
            return Ok(Self { phase, grid });
        }
        Err(Error::OtherGrid { plan: phase.grid_steps(), grid: grid.steps() })
    }

    /// The phase by indices.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The transition at `substep` of `group`, both counted as by [`Phase::transition`].
    ///
    /// # Errors
    /// A group or substep that the phase does not have.
    pub fn transition(&self, group: usize, substep: usize) -> Result<Transition> {
        let Transition { t, s, group_start } = self.phase.transition(group, substep)?;
        let level = |index| self.grid.level(index);
        Ok(Transition { t: level(t)?, s: level(s)?, group_start: level(group_start)? })
    }

    /// The cleanest level of the grid, at which the last group starts.
    pub fn clean_end(&self) -> NoiseLevel {
        self.grid.first()
    }

    /// The levels that the student visits.
    ///
    /// # Errors
    /// Never for a valid phase.
    pub fn student_grid(&self) -> Result<NoiseGrid> {
        self.grid.visited(&self.phase.student_indices())
    }

    /// The levels that the teacher visits.
    ///
    /// # Errors
    /// Never for a valid phase.
    pub fn teacher_grid(&self) -> Result<NoiseGrid> {
        self.grid.visited(self.phase.teacher_indices())
    }
}

#[cfg(test)]
mod tests {
    use crate::{PhasePlan, Schedule};

    #[test]
    fn a_plan_meets_its_own_grid_only() {
        let plan = PhasePlan::equal(&[64, 8, 1]).unwrap();
        let grid = Schedule::default().grid(64).unwrap();
        let phases = plan.on(&grid).unwrap();
        let at = phases[0].transition(2, 3).unwrap();
        assert_eq!(
            (at.t, at.s, at.group_start),
            (grid.level(21).unwrap(), grid.level(20).unwrap(), grid.level(16).unwrap())
        );
        assert!(!at.is_boundary() && phases[0].transition(2, 7).unwrap().is_boundary());
        assert_eq!(phases[0].clean_end(), grid.level(0).unwrap());
        assert_eq!(phases[0].student_grid().unwrap(), phases[1].teacher_grid().unwrap());
        assert_eq!(phases[1].student_grid().unwrap().levels(), [grid.first(), grid.last()]);
        let other = plan.on(&Schedule::default().grid(1024).unwrap()).unwrap_err().to_string();
        assert!(other.contains("64") && other.contains("1024"), "{other}");
    }
}
