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

use fewstep_models::Denoiser;
use fewstep_samplers::{Solver, X0Clip};
use fewstep_schedules::{NoiseGrid, Phase, Transition, Weighting};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::target::{Reduction, Target};
use crate::tract::{Tract, TractConfig, TractStates, mask};

/// Options of BTD; the defaults are those of the reference code.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BtdConfig {
    /// Clipping of the teacher's `x0_hat` in both half steps.
    pub clip: X0Clip,
    /// Weight of the squared error in `x0`.
    pub weighting: Weighting,
    /// Reduction over an image.
    pub reduction: Reduction,
    /// The target of the step that ends at `s = 0`.
    #[serde(skip_serializing_if = "LastStep::is_default")] // added later: old runs keep their identity
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

impl BtdConfig {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the one that is out of range.
    pub fn validate(&self) -> Result<()> {
        Ok(self.weighting.validate()?)
    }
}

/// The target of BTD's step to `s = 0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// BTD on a time grid.
#[derive(Clone, Debug)]
pub struct Btd {
    tract: Tract,
    last_step: LastStep,
}

impl Btd {
    /// BTD on `grid`.
    pub fn new(grid: NoiseGrid, config: BtdConfig) -> Self {
        let last_step = config.last_step;
        let config = TractConfig {
            solver: Solver::Ddim,
            clip_teacher: config.clip,
            clip_self_teacher: config.clip,
            weighting: config.weighting,
            reduction: config.reduction,
        };
        Self { tract: Tract { grid, config }, last_step }
    }

    /// Weight of the squared error in `x0`.
    pub fn weighting(&self) -> Weighting {
        self.tract.config.weighting
    }

    /// Reduction over an image.
    pub fn reduction(&self) -> Reduction {
        self.tract.config.reduction
    }

    /// Whether every group of `phase` has two steps.
    pub fn fits(phase: &Phase) -> bool {
        (0..phase.student_steps()).all(|g| phase.group_size(g) == Ok(2))
    }

    /// The student's target over two teacher steps.
    ///
    /// # Errors
    /// Not one transition for each image, a transition that is not the top of a group of two, or a teacher that fails.
    pub fn target(
        &self,
        teacher: &dyn Denoiser,
        batch: &Batch,
        transitions: &[Transition],
    ) -> Result<(Target, TractStates)> {
        if let Some(tr) = transitions.iter().find(|tr| tr.is_boundary()) {
            return Err(Error::NotTwoSteps { t: tr.t, group_start: tr.group_start });
        }
        let (target, states) = self.tract.target(teacher, teacher, batch, transitions)?;
        if self.last_step == LastStep::Landing {
            return Ok((target, states));
        }
        let last = mask(transitions, |tr| tr.group_start == 0, batch.device())?;
        let x0 = states.jump_x0.f_where_self(&last, &target.x0)?;
        Ok((Target { x0, ..target }, states))
    }
}
