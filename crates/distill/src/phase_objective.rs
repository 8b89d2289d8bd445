//! What the description of a phase's objective says.

use fewstep_models::X0Clip;
use fewstep_samplers::Solver;
use fewstep_schedules::PhaseLevels;

use crate::error::Result;
use crate::objective::Objective;

/// The description of an objective that a phase of a distillation can have.
pub trait PhaseObjective {
    /// The objective that it describes.
    type Objective: Objective + 'static;

    /// The objective of `phase`, which is phase `index` of its plan, counted from 0.
    ///
    /// # Errors
    /// A phase that the objective cannot do, or options that are out of range.
    fn objective(&self, phase: PhaseLevels, index: usize) -> Result<Self::Objective>;

    /// How the first teacher's steps are taken.
    fn teacher_steps(&self) -> TeacherSteps;

    /// Checks the options.
    ///
    /// # Errors
    /// Names the one that is out of range.
    fn validate(&self) -> Result<()>;
}

/// How a teacher's steps are taken, in targets and when it is sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TeacherSteps {
    /// Clipping of its `x0_hat`.
    pub clip: X0Clip,
    /// The step.
    pub solver: Solver,
}
