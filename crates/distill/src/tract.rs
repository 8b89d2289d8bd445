//! Transitive closure time-distillation, TRACT (arXiv 2303.04248, section 3).
//!
//! For a level `t` in a group that starts at `t_i`, with teacher `f` and self-teacher `g`:
//!
//! ```text
//! x_s    = step(f, x_t, t, s)                 one teacher step by its solver, s the teacher's next level
//! x_{ti} = step(g, x_s, s, t_i)               the self-teacher jumps to the group's start
//! x_hat  = the x0 for which the student's one step from x_t lands on x_{ti}
//! loss   = w(t) |student(x_t, t) - x_hat|^2
//! ```

use fewstep_models::{Clipped, Denoiser, Levels, X0Clip};
use fewstep_random::{Draws, Stream};
use fewstep_samplers::{Solver, Step, diffuse};
use fewstep_schedules::{PhaseLevels, Transition, Weighting};
use fewstep_torch::{Device, Kind, Tensor};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::draw::counted;
use crate::error::Result;
use crate::objective::{Asks, Objective, Teachers};
use crate::phase_objective::{PhaseObjective, TeacherSteps};
use crate::target::{Reduction, Target};

/// Options of TRACT; the defaults are those of the code that gave the published VP numbers, [`TractConfig::edm`] has those
/// for EDM teachers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TractConfig {
    /// Method of the teacher's step in the first phase. The student's is DDIM, and so is that of the later phases' teachers, which
    /// were students. For EDM's networks the default is `heun`.
    // The later phases: see `TractConfig::of_phase`.
    pub solver: Solver,
    /// Clipping of the clean image that the teacher answers with. For EDM's networks the default is `off`.
    pub clip_teacher: X0Clip,
    /// Clipping of the clean image that the self-teacher answers with.
    pub clip_self_teacher: X0Clip,
    /// Weight of the squared error in the clean image `x0`. The paper's text has the plain SNR, its code truncates it at 1. For EDM's
    /// networks the default is `edm`.
    pub weighting: Weighting,
    /// How the squared error of one image becomes one number. For EDM's networks the default is `mean`.
    pub reduction: Reduction,
}

impl Default for TractConfig {
    fn default() -> Self {
        Self {
            solver: Solver::Ddim,
            clip_teacher: X0Clip::UnitRange,
            clip_self_teacher: X0Clip::UnitRange,
            weighting: Weighting::TruncatedSnr,
            reduction: Reduction::Sum,
        }
    }
}

impl TractConfig {
    /// The options of the released EDM code: Heun's method, only the self-teacher clipped, EDM's weight, the mean over pixels.
    pub fn edm(sigma_data: f64) -> Self {
        Self {
            solver: Solver::Heun,
            clip_teacher: X0Clip::Off,
            clip_self_teacher: X0Clip::UnitRange,
            weighting: Weighting::Edm { sigma_data },
            reduction: Reduction::Mean,
        }
    }

    /// The options of phase `phase`, counted from 0.
    ///
    /// Heun's method averages the slopes of a denoiser. From the second phase on the teacher is a student of the phase
    /// before: its answer leads to the next level that it visits by a DDIM step, clipped as a student's, and is no slope.
    #[must_use]
    pub fn of_phase(self, phase: usize) -> Self {
        match self.solver {
            Solver::Heun if phase > 0 => {
                Self { solver: Solver::Ddim, clip_teacher: self.clip_self_teacher, ..self }
            }
            _ => self,
        }
    }
}

impl PhaseObjective for TractConfig {
    type Objective = Tract;

    fn objective(&self, phase: PhaseLevels, index: usize) -> Result<Tract> {
        Tract::new(phase, self.of_phase(index))
    }

    fn teacher_steps(&self) -> TeacherSteps {
        TeacherSteps { clip: self.clip_teacher, solver: self.solver }
    }

    fn validate(&self) -> Result<()> {
        Ok(self.weighting.validate()?)
    }
}

/// One phase of TRACT.
#[derive(Clone, Debug)]
pub struct Tract {
    phase: PhaseLevels,
    config: TractConfig,
}

/// A target with the states that it was made from.
#[derive(Debug)]
pub struct TractStates {
    /// Where the student stands, f64 `[B, C, H, W]`, like all that follow.
    pub x_t: Tensor,
    /// Its levels.
    pub t: Levels,
    /// After the teacher's step.
    pub x_s: Tensor,
    /// At the group's start; equal to `x_s` where the teacher's step already ends there.
    pub x_group_start: Tensor,
    /// The clipped `x0_hat` of the jump from `x_s`; the teacher's where there was none to make.
    pub jump_x0: Tensor,
    /// What the student should answer: its one step from `x_t` then lands on `x_group_start`.
    pub x0: Tensor,
}

impl TractStates {
    /// The states as a target.
    pub fn into_target(self, weighting: Weighting, reduction: Reduction) -> Target {
        let weights = self.t.iter().map(|level| weighting.at(level)).collect();
        Target { x_t: self.x_t, at: self.t, x0: self.x0, weights, reduction }
    }
}

impl Tract {
    /// TRACT on the transitions of `phase`.
    ///
    /// # Errors
    /// Options that are out of range.
    pub fn new(phase: PhaseLevels, config: TractConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self { phase, config })
    }

    /// Its options.
    pub fn config(&self) -> &TractConfig {
        &self.config
    }

    /// The phase whose transitions are drawn.
    pub fn phase(&self) -> &PhaseLevels {
        &self.phase
    }

    /// A group uniformly, then a step inside it uniformly, for each sample.
    ///
    /// # Errors
    /// Never for a valid phase.
    pub fn draw(&self, draws: &Draws) -> Result<Vec<Transition>> {
        let phase = self.phase.phase();
        let (groups, substeps) = (draws.key(Stream::Group), draws.key(Stream::Substep));
        let transition = |&n: &u64| {
            let group = groups.below(n, counted(phase.student_steps())?) as usize;
            let substep = substeps.below(n, counted(phase.group_size(group)?)?) as usize;
            Ok(self.phase.transition(group, substep)?)
        };
        draws.ns().iter().map(transition).collect()
    }

    /// The target at these transitions, with the states on the way.
    ///
    /// # Errors
    /// Not one transition for each image, or a denoiser fails.
    pub fn states(
        &self,
        teacher: &dyn Denoiser,
        self_teacher: &dyn Denoiser,
        batch: &Batch,
        transitions: &[Transition],
    ) -> Result<TractStates> {
        batch.expect("transitions", transitions.len())?;
        let f = Clipped::new(teacher, self.config.clip_teacher);
        let g = Clipped::new(self_teacher, self.config.clip_self_teacher);
        let levels = |level: fn(&Transition) -> _| Levels::new(transitions.iter().map(level).collect());
        let (t, s, t_i) = (levels(|at| at.t), levels(|at| at.s), levels(|at| at.group_start));
        let device = batch.device();

        let x_t = diffuse(&batch.x0, &batch.noise, &t)?;
        let teacher_x0 = self.config.solver.x0(&f, &x_t, &t, &s)?;
        let x_s = Step::between(&t, &s, device)?.apply(&x_t, &teacher_x0)?;
        let (jump_x0, x_group_start) = if transitions.iter().all(Transition::is_boundary) {
            (teacher_x0.shallow_clone(), x_s.shallow_clone())
        } else {
            // Samples whose step ends at the group's start go through the self-teacher with the others, in vain: their
            // step from `s` to `t_i` moves nothing.
            let x0 = g.denoise(&x_s, &s)?;
            let landed = Step::between(&s, &t_i, device)?.apply(&x_s, &x0)?;
            (x0, landed)
        };
        let landing = Step::between(&t, &t_i, device)?.x0_that_lands_on(&x_t, &x_group_start)?;
        // At a boundary the inverse would give the teacher's answer up to rounding; take the answer itself.
        let boundary = mask(transitions, Transition::is_boundary, device)?;
        let x0 = teacher_x0.f_where_self(&boundary, &landing)?;
        Ok(TractStates { x_t, t, x_s, x_group_start, jump_x0, x0 })
    }
}

impl Objective for Tract {
    fn asks(&self) -> Asks {
        Asks { teacher: true, self_teacher: true }
    }

    fn target(&self, teachers: &Teachers<'_>, batch: &Batch) -> Result<Target> {
        let transitions = self.draw(&batch.draws)?;
        let states = self.states(teachers.teacher()?, teachers.self_teacher()?, batch, &transitions)?;
        Ok(states.into_target(self.config.weighting, self.config.reduction))
    }
}

/// `[B, 1, 1, 1]`, true where `choose` holds.
pub(crate) fn mask(
    transitions: &[Transition],
    choose: impl Fn(&Transition) -> bool,
    device: Device,
) -> Result<Tensor> {
    let mask: Vec<bool> = transitions.iter().map(choose).collect();
    let mask = Tensor::f_from_slice(&mask)?.f_to_kind(Kind::Bool)?;
    Ok(mask.f_view([-1, 1, 1, 1])?.f_to_device(device)?)
}
