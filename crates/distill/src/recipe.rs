//! What suits a family of networks: the settings that its published numbers were made with.

use fewstep_models::{Family, X0Clip};
use fewstep_samplers::Solver;
use fewstep_schedules::Schedule;
use fewstep_torch::GradientRule;

use crate::denoising::DenoisingConfig;
use crate::phase_objective::TeacherSteps;
use crate::tract::TractConfig;

/// The settings that suit a family of networks. Imports, configs and sampling take what nobody chose from here.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Noise levels that the networks are made for.
    pub schedule: Schedule,
    /// Steps of the teacher's grid.
    pub steps: usize,
    /// How its steps are taken.
    pub teacher_steps: TeacherSteps,
    /// How a teacher is trained.
    pub denoising: DenoisingConfig,
    /// How TRACT distils it.
    pub tract: TractConfig,
    /// What happens to gradients.
    pub gradient: GradientRule,
}

/// What replaces an infinite gradient in EDM's training code.
const EDM_GRADIENT_LIMIT: f64 = 1e5;

impl Recipe {
    /// The recipe of a family.
    ///
    /// DDPM: the cosine schedule of log-SNR -20 to 20, DDIM with clipping (TRACT's VP code, arXiv 2303.04248). EDM: Karras'
    /// levels, Heun's method without clipping, and the options of EDM's and TRACT's EDM code (arXiv 2206.00364). Networks of
    /// a table have its levels and else DDPM's recipe; those on the line walk it by DDIM, which there is Euler's method,
    /// without clipping.
    pub fn of(family: Family) -> Self {
        match family {
            Family::Ddpm => Self {
                schedule: Schedule::default(),
                steps: 1024,
                teacher_steps: TeacherSteps { clip: X0Clip::UnitRange, solver: Solver::Ddim },
                denoising: DenoisingConfig::default(),
                tract: TractConfig::default(),
                gradient: GradientRule::default(),
            },
            Family::Table(table) => {
                let steps = table.timesteps;
                Self { schedule: Schedule::Betas(table), steps, ..Self::of(Family::Ddpm) }
            }
            Family::Line => Self {
                schedule: Schedule::Line {},
                teacher_steps: TeacherSteps { clip: X0Clip::Off, solver: Solver::Ddim },
                ..Self::of(Family::Ddpm)
            },
            Family::Edm { sigma_data } => Self {
                schedule: Schedule::karras(),
                steps: 40,
                teacher_steps: TeacherSteps { clip: X0Clip::Off, solver: Solver::Heun },
                denoising: DenoisingConfig::edm(sigma_data),
                tract: TractConfig::edm(sigma_data),
                gradient: GradientRule::ReplaceNonFinite { limit: EDM_GRADIENT_LIMIT },
            },
        }
    }
}
