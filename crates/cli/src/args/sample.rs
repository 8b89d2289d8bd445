//! Arguments of `sample`.

use std::path::PathBuf;

use fewstep_samplers::{Churn, Sampler};

#[derive(Debug, clap::Args)]
pub(crate) struct SampleArgs {
    /// Model file, such as runs/digits/model.safetensors.
    #[arg(long, short)]
    pub(crate) model: PathBuf,
    /// What to write: a .png is one picture of all images; a .zip, a .npz or a folder holds them one by one, named by seed.
    #[arg(long, short, default_value = "samples.png")]
    pub(crate) out: PathBuf,
    /// Number of images.
    #[arg(long, short, default_value_t = 64)]
    pub(crate) n: u64,
    /// Seed of the first image; image k has seed first + k, and one seed is one image.
    #[arg(long, default_value_t = 0)]
    pub(crate) first_seed: u64,
    /// Sampling steps (default: those that the model was made for).
    #[arg(long)]
    pub(crate) steps: Option<usize>,
    /// How the steps are taken (default: as the model's card says): ddim, or heun for teachers.
    #[arg(long)]
    pub(crate) solver: Option<Solver>,
    /// Noise added back over all steps, with heun: the sampler of EDM becomes stochastic.
    #[arg(long, requires = "solver")]
    pub(crate) s_churn: Option<f64>,
    /// Class of every image (default: each seed draws its own), for a model with classes.
    #[arg(long)]
    pub(crate) class: Option<i64>,
    /// Images a batch.
    #[arg(long, default_value_t = 64)]
    pub(crate) batch: usize,
    /// auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto")]
    pub(crate) device: fewstep_torch::DeviceSpec,
}

impl SampleArgs {
    /// The sampler that the flags ask for, in place of the card's.
    pub(crate) fn sampler(&self, card: Sampler) -> Sampler {
        let solver = match self.solver {
            None => return card,
            Some(Solver::Ddim) => fewstep_samplers::Solver::Ddim,
            Some(Solver::Heun) => fewstep_samplers::Solver::Heun,
        };
        let churn = self.s_churn.map(|s_churn| Churn { s_churn, ..Churn::default() });
        Sampler { solver, churn }
    }
}

/// A solver, as the flag has it.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Solver {
    Ddim,
    Heun,
}
