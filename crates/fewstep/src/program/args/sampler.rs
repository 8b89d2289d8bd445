//! Flags that choose a sampler.

use anyhow::{Result, bail};
use fewstep_samplers::{Churn, ModelCard, Role, Sampler};

/// How a model's steps are taken, in place of what its card says. EDM's stochastic sampler for ImageNet-64 is
/// `--solver heun --s-churn 40 --s-min 0.05 --s-max 50 --s-noise 1.003`.
#[derive(Debug, clap::Args)]
pub(crate) struct SamplerArgs {
    /// How the steps are taken (default: as the model's card says): ddim, or heun for teachers.
    #[arg(long)]
    solver: Option<Solver>,
    /// Noise added back over all steps, with heun: the sampler of EDM becomes stochastic.
    #[arg(long, requires = "solver")]
    s_churn: Option<f64>,
    /// Steps from less noise than this add none.
    #[arg(long, requires = "s_churn")]
    s_min: Option<f64>,
    /// Steps from more noise than this add none.
    #[arg(long, requires = "s_churn")]
    s_max: Option<f64>,
    /// Standard deviation of the added noise, in units of what the level asks for.
    #[arg(long, requires = "s_churn")]
    s_noise: Option<f64>,
}

/// A solver, as the flag has it.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Solver {
    Ddim,
    Heun,
}

impl SamplerArgs {
    /// Whether a sampler was chosen.
    pub(crate) fn is_given(&self) -> bool {
        self.solver.is_some()
    }

    /// The sampler that the flags ask of the model with this card.
    pub(crate) fn of(&self, card: &ModelCard) -> Result<Sampler> {
        let solver = match self.solver {
            None => return Ok(card.sampler),
            Some(Solver::Ddim) => fewstep_samplers::Solver::Ddim,
            Some(Solver::Heun) if card.role == Role::Student => {
                bail!("--solver heun: the model is a student, which takes its steps by DDIM");
            }
            Some(Solver::Heun) => fewstep_samplers::Solver::Heun,
        };
        let usual = Churn::default();
        let churn = self.s_churn.map(|s_churn| Churn {
            s_churn,
            s_min: self.s_min.unwrap_or(usual.s_min),
            s_max: self.s_max.or(usual.s_max),
            s_noise: self.s_noise.unwrap_or(usual.s_noise),
        });
        let keep_noise = card.sampler.keep_noise && solver == fewstep_samplers::Solver::Ddim;
        let sampler = Sampler { solver, churn, keep_noise };
        sampler.validate()?;
        Ok(sampler)
    }
}
