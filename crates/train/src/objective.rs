//! Objectives with their draws: what one stage optimises.

use fewstep_distill::{Batch, Btd, Denoising, Tract, draw_group_tops, draw_levels, draw_transitions};
use fewstep_models::Denoiser;
use fewstep_schedules::{NoiseLevel, Phase, Transition};
use fewstep_torch::Tensor;

use crate::error::{Error, Result};

/// What one stage optimises.
#[derive(Clone, Debug)]
pub enum Objective {
    /// Teacher training.
    Denoising(Denoising),
    /// One phase of TRACT.
    Tract {
        /// The objective.
        tract: Tract,
        /// The phase whose transitions are drawn.
        phase: Phase,
    },
    /// One halving by BTD.
    Btd {
        /// The objective.
        btd: Btd,
        /// The phase whose groups, of two steps each, are drawn.
        phase: Phase,
    },
}

/// The random choices of a batch, one for each image.
#[derive(Clone, Debug, PartialEq)]
pub enum Draws {
    /// Noise levels of the denoising objective.
    Levels(Vec<NoiseLevel>),
    /// Transitions of a phase.
    Transitions(Vec<Transition>),
}

impl Draws {
    /// The draws of images `from..to`.
    pub(crate) fn slice(&self, from: usize, to: usize) -> Self {
        match self {
            Self::Levels(l) => Self::Levels(l[from..to].to_vec()),
            Self::Transitions(t) => Self::Transitions(t[from..to].to_vec()),
        }
    }

    /// Number of images drawn for.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Levels(l) => l.len(),
            Self::Transitions(t) => t.len(),
        }
    }
}

/// The networks that an objective may ask.
pub(crate) struct Networks<'a> {
    pub(crate) student: &'a dyn Denoiser,
    pub(crate) teacher: Option<&'a dyn Denoiser>,
    pub(crate) self_teacher: Option<&'a dyn Denoiser>,
}

impl Objective {
    /// The draws for the samples `ns` of a stage: a function of the run's key alone.
    ///
    /// # Errors
    /// A phase that does not fit its plan.
    pub fn draw(&self, seed: u64, stage: u64, ns: &[u64]) -> Result<Draws> {
        Ok(match self {
            Self::Denoising(d) => Draws::Levels(draw_levels(d, seed, stage, ns)),
            Self::Tract { phase, .. } => Draws::Transitions(draw_transitions(phase, seed, stage, ns)?),
            Self::Btd { phase, .. } => Draws::Transitions(draw_group_tops(phase, seed, stage, ns)?),
        })
    }

    /// Checks its numbers.
    ///
    /// # Errors
    /// Names the one that is out of range.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Denoising(d) => {
                d.schedule.validate()?;
                d.config.validate()?;
            }
            Self::Tract { tract, .. } => tract.config.validate()?,
            Self::Btd { btd, .. } => btd.weighting().validate()?,
        }
        Ok(())
    }

    /// Whether it asks a teacher.
    pub fn has_teacher(&self) -> bool {
        !matches!(self, Self::Denoising(_))
    }

    /// Whether it asks a self-teacher.
    pub fn has_self_teacher(&self) -> bool {
        matches!(self, Self::Tract { .. })
    }

    /// The weighted loss of every image, f64 `[B]`.
    pub(crate) fn losses(&self, networks: &Networks, batch: &Batch, draws: &Draws) -> Result<Tensor> {
        let labels = batch.labels.as_ref();
        match (self, draws) {
            (Self::Denoising(d), Draws::Levels(levels)) => {
                let target = d.target(batch, levels)?;
                Ok(target.losses(networks.student, labels, d.config.weighting, d.config.reduction)?)
            }
            (Self::Tract { tract, .. }, Draws::Transitions(transitions)) => {
                let (teacher, own) = (present(networks.teacher)?, present(networks.self_teacher)?);
                let (target, _) = tract.target(teacher, own, batch, transitions)?;
                Ok(target.losses(networks.student, labels, tract.config.weighting, tract.config.reduction)?)
            }
            (Self::Btd { btd, .. }, Draws::Transitions(transitions)) => {
                let (target, _) = btd.target(present(networks.teacher)?, batch, transitions)?;
                Ok(target.losses(networks.student, labels, btd.weighting(), btd.reduction())?)
            }
            _ => Err(Error::Plan { key: "objective", problem: "draws of another objective".into() }),
        }
    }
}

fn present<T>(teacher: Option<T>) -> Result<T> {
    teacher
        .ok_or_else(|| Error::Plan { key: "teacher", problem: "a distillation stage has no teacher".into() })
}
