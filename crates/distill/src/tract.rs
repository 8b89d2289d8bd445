//! Transitive closure time-distillation, TRACT (arXiv 2303.04248, section 3), for any pair of noise levels.
//!
//! For `t` in a group that starts at `t_i`, with teacher `f` and self-teacher `g`:
//!
//! ```text
//! x_s    = step(f, x_t, t, s)                 one teacher step by its solver, s the teacher's next index
//! x_{ti} = step(g, x_s, s, t_i)               the self-teacher jumps to the group's start
//! x_hat  = the x0 for which the student's one step from x_t lands on x_{ti}
//! loss   = w(t) |student(x_t, t) - x_hat|^2
//! ```

use fewstep_models::{Denoiser, Levels};
use fewstep_samplers::{Solver, Step, X0Clip, diffuse};
use fewstep_schedules::{NoiseGrid, Transition, Weighting};
use fewstep_torch::{Device, Kind, Tensor, no_grad};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::error::Result;
use crate::target::{Reduction, Target};

/// Options of TRACT; the defaults are those of the code that gave the published VP numbers, [`TractConfig::edm`] has those
/// for EDM teachers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TractConfig {
    /// The teacher's step in the first phase: DDIM, or Heun's method for EDM teachers. The student's is DDIM, and so is
    /// that of the later phases' teachers, which were students: [`TractConfig::of_phase`].
    pub solver: Solver,
    /// Clipping of the teacher's `x0_hat`.
    pub clip_teacher: X0Clip,
    /// Clipping of the self-teacher's `x0_hat`.
    pub clip_self_teacher: X0Clip,
    /// Weight of the squared error in `x0`. The paper's text has the plain SNR, its code truncates it at 1.
    pub weighting: Weighting,
    /// Reduction over an image.
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

    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the one that is out of range.
    pub fn validate(&self) -> Result<()> {
        Ok(self.weighting.validate()?)
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

/// The intermediate states of one target.
#[derive(Debug)]
pub struct TractStates {
    /// After the teacher's step, f64 `[B, C, H, W]`.
    pub x_s: Tensor,
    /// At the group's start, f64 `[B, C, H, W]`; equal to `x_s` where the teacher's step already ends there.
    pub x_group_start: Tensor,
    /// The `x0_hat` of the jump from `x_s`, after clipping; the teacher's where there was none to make.
    pub jump_x0: Tensor,
}

/// TRACT on a time grid.
#[derive(Clone, Debug)]
pub struct Tract {
    /// Noise levels by index.
    pub grid: NoiseGrid,
    /// Options.
    pub config: TractConfig,
}

impl Tract {
    /// The student's target at the drawn transitions.
    ///
    /// # Errors
    /// Not one transition for each image, a transition of another grid's plan, or a denoiser fails.
    pub fn target(
        &self,
        teacher: &dyn Denoiser,
        self_teacher: &dyn Denoiser,
        batch: &Batch,
        transitions: &[Transition],
    ) -> Result<(Target, TractStates)> {
        batch.expect("transitions", transitions.len())?;
        let _guard = no_grad();
        let (device, labels) = (batch.device(), batch.labels.as_ref());
        let levels = |index: fn(&Transition) -> usize| -> Result<Levels> {
            let level = |tr| self.grid.level(index(tr));
            Ok(Levels::new(transitions.iter().map(level).collect::<std::result::Result<_, _>>()?))
        };
        let (t, s, start) = (levels(|tr| tr.t)?, levels(|tr| tr.s)?, levels(|tr| tr.group_start)?);

        let x_t = diffuse(&batch.x0, &batch.noise, &t)?;
        let teacher_x0 = self.config.solver.x0(teacher, &x_t, &t, &s, labels, self.config.clip_teacher)?;
        let x_s = Step::between(&t, &s, device)?.apply(&x_t, &teacher_x0)?;
        let (jump_x0, x_group_start) = if transitions.iter().all(Transition::is_boundary) {
            (teacher_x0.shallow_clone(), x_s.shallow_clone())
        } else {
            let x0 = self.config.clip_self_teacher.apply(&self_teacher.denoise(&x_s, &s, labels)?)?;
            let landed = Step::between(&s, &start, device)?.apply(&x_s, &x0)?;
            (x0, landed)
        };
        let landing = Step::between(&t, &start, device)?.x0_that_lands_on(&x_t, &x_group_start)?;
        // At a boundary the inverse would give the teacher's answer up to rounding; take the answer itself.
        let boundary = mask(transitions, Transition::is_boundary, device)?;
        let x0 = teacher_x0.f_where_self(&boundary, &landing)?;
        Ok((Target { x_t, at: t, x0 }, TractStates { x_s, x_group_start, jump_x0 }))
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
