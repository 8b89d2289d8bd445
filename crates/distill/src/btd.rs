//! Binary time distillation, BTD (progressive distillation, arXiv 2202.00512): the student's one step over two teacher steps.
//!
//! ```text
//! x_mid = step(f, x_t, t, mid)
//! x_s   = step(f, x_mid, mid, s)
//! x_hat = the x0 for which one step from x_t lands on x_s; at the last step (s = 0), if so chosen, the teacher's x0 at x_mid
//! ```
//!
//! This is TRACT with groups of two whose self-teacher is the teacher, drawn at the groups' tops only: it is built on
//! [`Tract`] and adds the rule of the last step.

use fewstep_models::{Denoiser, X0Clip};
use fewstep_random::{Draws, Stream};
use fewstep_samplers::Solver;
use fewstep_schedules::{PhaseLevels, Transition, Weighting};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::draw::counted;
use crate::error::{Error, Result};
use crate::objective::{Asks, Objective, Teachers};
use crate::phase_objective::{PhaseObjective, TeacherSteps};
use crate::target::{Reduction, Target};
use crate::tract::{Tract, TractConfig, TractStates, mask};

/// Options of BTD; the defaults are those of the reference code.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BtdConfig {
    /// Clipping of the clean image that the teacher answers with, in both half steps.
    pub clip: X0Clip,
    /// Weight of the squared error in the clean image `x0`.
    pub weighting: Weighting,
    /// How the squared error of one image becomes one number.
    pub reduction: Reduction,
    /// Target of the step that ends at the clean end of the grid.
    #[serde(skip_serializing_if = "LastStep::is_default")] // added later: old runs keep their identity
    #[schemars(!skip_serializing_if)]
    pub last_step: LastStep,
}

impl Default for BtdConfig {
    fn default() -> Self {
        Self {
            clip: X0Clip::Off,
            weighting: Weighting::TruncatedSnr,
            reduction: Reduction::Sum,
            last_step: LastStep::default(),
        }
    }
}

impl PhaseObjective for BtdConfig {
    type Objective = Btd;

    fn objective(&self, phase: PhaseLevels, _: usize) -> Result<Btd> {
        Btd::new(phase, *self)
    }

    fn teacher_steps(&self) -> TeacherSteps {
        TeacherSteps { clip: X0Clip::UnitRange, solver: Solver::Ddim }
    }

    fn validate(&self) -> Result<()> {
        Ok(self.weighting.validate()?)
    }
}

/// The target of BTD's step to `s = 0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LastStep {
    /// The teacher's `x0` of its second half step (the reference code).
    #[default]
    SecondX0,
    /// The `x0` that lands on the teacher's state, as in all other steps (the paper's formula). On a grid that ends at no
    /// noise both are the same.
    Landing,
}

impl LastStep {
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One halving by BTD.
#[derive(Clone, Debug)]
pub struct Btd {
    tract: Tract,
    last_step: LastStep,
}

impl Btd {
    /// BTD on the groups of `phase`.
    ///
    /// # Errors
    /// A group that does not have two steps, or options that are out of range.
    pub fn new(phase: PhaseLevels, config: BtdConfig) -> Result<Self> {
        let indices = phase.phase();
        if (0..indices.student_steps()).any(|g| indices.group_size(g) != Ok(2)) {
            let (from, to) = (indices.teacher_steps(), indices.student_steps());
            return Err(Error::NoHalving { from, to });
        }
        let last_step = config.last_step;
        let config = TractConfig {
            solver: Solver::Ddim,
            clip_teacher: config.clip,
            clip_self_teacher: config.clip,
            weighting: config.weighting,
            reduction: config.reduction,
        };
        Ok(Self { tract: Tract::new(phase, config)?, last_step })
    }

    /// The top step of a group drawn uniformly, for each sample.
    ///
    /// # Errors
    /// Never for a valid phase.
    pub fn draw(&self, draws: &Draws) -> Result<Vec<Transition>> {
        let phase = self.tract.phase();
        let groups = draws.below(Stream::Group, counted(phase.phase().student_steps())?);
        groups.into_iter().map(|group| Ok(phase.transition(group as usize, 0)?)).collect()
    }

    /// The target over two teacher steps, with the states on the way.
    ///
    /// # Errors
    /// Not one transition for each image, a transition that is not the top of a group of two, or a teacher that fails.
    pub fn states(
        &self,
        teacher: &dyn Denoiser,
        batch: &Batch,
        transitions: &[Transition],
    ) -> Result<TractStates> {
        if transitions.iter().any(Transition::is_boundary) {
            return Err(Error::NotTwoSteps);
        }
        let states = self.tract.states(teacher, teacher, batch, transitions)?;
        if self.last_step == LastStep::Landing {
            return Ok(states);
        }
        let clean = self.tract.phase().clean_end();
        let last = mask(transitions, |at| at.group_start == clean, batch.device())?;
        let x0 = states.jump_x0.f_where_self(&last, &states.x0)?;
        Ok(TractStates { x0, ..states })
    }
}

impl Objective for Btd {
    fn asks(&self) -> Asks {
        Asks { teacher: true, self_teacher: false }
    }

    fn target(&self, teachers: &Teachers<'_>, batch: &Batch) -> Result<Target> {
        let states = self.states(teachers.teacher()?, batch, &self.draw(&batch.draws)?)?;
        let TractConfig { weighting, reduction, .. } = *self.tract.config();
        Ok(states.into_target(weighting, reduction))
    }
}
