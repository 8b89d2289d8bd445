//! What a person can type.

use std::num::NonZero;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use fewstep_models::Prediction;
use fewstep_models::edm::Preconditioner;
use fewstep_schedules::Schedule;
use serde::de::DeserializeOwned;

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
    /// Make a model file from another program's: EDM pickle, torch.save, flax checkpoint, safetensors.
    Import(ImportArgs),
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

/// The file says most of it; an error names what it cannot say.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// EDM pickle, torch.save file, flax checkpoint, safetensors or npz; recognised by its contents.
    pub(crate) file: PathBuf,
    /// Model file to write.
    #[arg(long, short, default_value = "model.safetensors")]
    pub(crate) out: PathBuf,
    /// Which of several networks in the file, such as `ema`: the keys that lead to it, joined by dots.
    #[arg(long)]
    pub(crate) entry: Option<String>,
    /// Height and width of the images, for a DDPM U-Net.
    #[arg(long)]
    pub(crate) resolution: Option<i64>,
    /// What a DDPM U-Net with one image of output predicts: x0, eps or v.
    #[arg(long, value_parser = by_name::<Prediction>)]
    pub(crate) prediction: Option<Prediction>,
    /// Attention heads of a DDPM U-Net.
    #[arg(long, conflicts_with = "head_channels")]
    pub(crate) heads: Option<i64>,
    /// Channels of each attention head of a DDPM U-Net.
    #[arg(long)]
    pub(crate) head_channels: Option<i64>,
    /// Preconditioner of an EDM network that is not in EDM's own pickle: edm, vp, ve or iddpm.
    #[arg(long, value_parser = by_kind::<Preconditioner>)]
    pub(crate) preconditioner: Option<Preconditioner>,
    /// Standard deviation of the data behind `--preconditioner edm` (default: 0.5).
    #[arg(long, requires = "preconditioner")]
    pub(crate) sigma_data: Option<f64>,
    /// Taps of the resampling filter, such as 1,3,3,1, for an NCSN++ saved without buffers.
    #[arg(long, value_delimiter = ',')]
    pub(crate) resample_filter: Option<Vec<f64>>,
    /// Noise schedule: cosine_log_snr, linear_beta or karras (default: cosine_log_snr for a DDPM U-Net, karras for EDM's).
    #[arg(long, value_parser = by_kind::<Schedule>)]
    pub(crate) schedule: Option<Schedule>,
    /// Steps of the time grid for sampling (default: the file's own, else 1024, or 40 for EDM's).
    #[arg(long)]
    pub(crate) timesteps: Option<usize>,
}

/// A choice by its name in a config.
fn by_name<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    serde_json::from_value(name.into()).map_err(|e| e.to_string())
}

/// A choice by the `kind` that it has in a config, with the defaults of its options.
fn by_kind<T: DeserializeOwned>(kind: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::json!({ "kind": kind })).map_err(|e| e.to_string())
}
