//! What a person can type.

use std::num::NonZero;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Turn a many-step diffusion model into one that samples in one or a few steps, and measure the result.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110)]
pub(crate) struct Args {
    /// Worker threads on the CPU (default: all cores). Results do not depend on it.
    #[arg(long, global = true)]
    pub(crate) threads: Option<NonZero<usize>>,
    /// Show warnings and errors only.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train or load a teacher, distil it, evaluate both. The same command continues an interrupted run.
    Train(TrainArgs),
    /// Print what `train` would do: phases, steps, decays, sizes, evaluations.
    Plan(ConfigArgs),
    /// Generate images from a model file.
    Sample(SampleArgs),
}

/// Where a config comes from: built-in defaults < file < environment < --set.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// Config file in TOML. Without it: the embedded digits.
    #[arg(long, short)]
    pub(crate) config: Option<PathBuf>,
    /// Change one key, as in `--set training.batch=128`; values are TOML. FEWSTEP__TRAINING__BATCH=128 does the same.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Folder that run folders are made in.
    #[arg(long, default_value = "runs")]
    pub(crate) runs: PathBuf,
    /// Print the plan and stop.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SampleArgs {
    /// Model file, such as runs/digits/model.safetensors.
    #[arg(long, short)]
    pub(crate) model: PathBuf,
    /// Picture to write: a grid of all images, PNG.
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
