//! Errors for invalid schedules, plans and rates.

/// An invalid description. Each variant says what was requested and what would be accepted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A phase schedule has two neighbouring numbers where the second does not divide the first.
    #[error(
        "phase {phase}: {from} steps cannot be cut into {to} equal groups, {from} is not divisible by {to}"
    )]
    DoesNotDivide {
        /// Phase, counted from 0.
        phase: usize,
        /// Steps of that phase's teacher.
        from: usize,
        /// Steps requested for its student.
        to: usize,
    },
    /// An index that a grid does not have.
    #[error("index {index} is not on the grid of {steps} steps, which has 0 to {steps}")]
    NotOnGrid {
        /// The index.
        index: usize,
        /// Steps of the grid.
        steps: usize,
    },
    /// A plan on a grid of another number of steps.
    #[error("the phases begin with {plan} steps, the grid has {grid}")]
    OtherGrid {
        /// Steps that the plan begins with.
        plan: usize,
        /// Steps of the grid.
        grid: usize,
    },
    /// A number of steps that is no part of a grid's.
    #[error(
        "a grid of {steps} steps has no sub-grid of {wanted} equal steps: {wanted} does not divide {steps}"
    )]
    NoSubGrid {
        /// Steps of the grid.
        steps: usize,
        /// Steps requested.
        wanted: usize,
    },
    /// A phase schedule that is not of the form `T, ..., 1`: descending step counts, each at least 1.
    #[error("phase schedule {schedule}: {expected}")]
    BadPlan {
        /// The schedule as given.
        schedule: String,
        /// What a valid schedule has.
        expected: &'static str,
    },
    /// An explicit partition with a boundary that the teacher does not visit.
    #[error("phase {phase}: boundary {boundary} is not one of the indices that its teacher visits")]
    BoundaryNotVisited {
        /// Phase, counted from 0.
        phase: usize,
        /// The offending boundary.
        boundary: usize,
    },
    /// A number outside its range.
    #[error("{name} = {got} is out of range: expected {expected}")]
    OutOfRange {
        /// Name of the parameter.
        name: &'static str,
        /// Its value.
        got: f64,
        /// The accepted range.
        expected: &'static str,
    },
    /// A table of timesteps whose noise does not grow from each to the next.
    #[error(
        "timestep {timestep}: gamma (alpha-bar) is {gamma}, expected at least 0 and below {before}, its value before"
    )]
    GammaDoesNotFall {
        /// The timestep.
        timestep: usize,
        /// Its gamma.
        gamma: f64,
        /// Gamma of the timestep before it; 1 before the first.
        before: f64,
    },
    /// A grid that would have the level of timestep 0 at two indices.
    #[error(
        "a grid of {steps} steps over {timesteps} timesteps would have timestep 0 at index 1, but the clean end is that \
         timestep already (clean_end = \"first\"): at most {most} steps"
    )]
    CleanEndTwice {
        /// Steps requested.
        steps: usize,
        /// Timesteps of the table.
        timesteps: usize,
        /// The largest number of steps for which there is such a grid.
        most: usize,
    },
    /// A step that does not go from noise towards data.
    #[error("a step must go towards less noise: from (alpha {}, sigma {}) to (alpha {}, sigma {})", from.0, from.1, to.0, to.1)]
    StepDirection {
        /// `(alpha, sigma)` at the start.
        from: (f64, f64),
        /// `(alpha, sigma)` at the end.
        to: (f64, f64),
    },
}

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Returns [`Error::OutOfRange`] unless `ok`.
pub(crate) fn check(ok: bool, name: &'static str, got: f64, expected: &'static str) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::OutOfRange { name, got, expected }) }
}
