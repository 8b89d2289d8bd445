//! What a person can type.

mod bench;
mod dataset;
mod evaluation;
mod export;
mod fetch;
mod import;
mod sample;
mod sampler;

use std::num::NonZero;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(crate) use bench::{BenchArgs, BenchWhat, NetworkArg};
pub(crate) use dataset::DatasetArgs;
pub(crate) use evaluation::{EvalFidArgs, FeatureArgs, ReferenceArgs};
pub(crate) use export::{ExportArgs, ExportFormat};
pub(crate) use fetch::FetchArgs;
pub(crate) use import::{AttentionOrderArg, ImportArgs, TrainedAsArg};
pub(crate) use sample::SampleArgs;

/// Turn a many-step diffusion model into one that samples in one or a few steps, and measure the result.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110)]
pub(crate) struct Args {
    /// Worker threads on the CPU (default: all cores, shared equally by the workers of `train` on a machine). Results do not
    /// depend on it.
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
    /// Measure a run, a model or a folder of images: FID and relatives, each number with its record.
    EvalFid(Box<EvalFidArgs>),
    /// Take a data set's reference statistics, keep them, and show what they are.
    Reference(ReferenceArgs),
    /// Make a model file from another program's: EDM pickle, torch.save, flax checkpoint, safetensors, a folder of diffusers.
    Import(Box<ImportArgs>),
    /// Make the files of another program from a model file: a pipeline of diffusers.
    Export(ExportArgs),
    /// Convert images between folders, zips and npz archives, and resize them.
    Dataset(DatasetArgs),
    /// Put published data and weights into the cache. Other commands do so themselves where they need them.
    Fetch(FetchArgs),
    /// Measure how fast this machine trains and samples, beside what it can do.
    Bench(BenchArgs),
    /// Say what the program finds on this machine, what is missing, and what to do about it.
    Doctor,
}

/// Where a config comes from: built-in defaults < file < environment < --set.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// Config file in TOML, or the name of one that comes with the program, such as `cifar10_mini`; `fewstep doctor` lists them.
    /// Without it: the embedded digits.
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
    /// Distil this teacher: a model file, or a file or folder of another program that `import` needs no flags for. A config is
    /// made for it, printed, and kept in the folder of runs.
    #[arg(long, conflicts_with = "config")]
    pub(crate) teacher: Option<PathBuf>,
    /// With `--teacher`: images to distil on, a folder, .zip or .npz, or a published data set by its name.
    #[arg(long, requires = "teacher")]
    pub(crate) data: Option<String>,
    /// With `--teacher`: steps of the student.
    #[arg(long, requires = "teacher", default_value_t = 1)]
    pub(crate) steps: usize,
    /// Folder that run folders are made in.
    #[arg(long, default_value = "runs")]
    pub(crate) runs: PathBuf,
    /// Print the plan and stop.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) workers: WorkersArgs,
}

/// Several processes that train one model.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkersArgs {
    /// Train by so many processes on this machine; on GPUs, one each. `torchrun` and SLURM's `srun` start workers without it.
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<NonZero<usize>>,
    /// Seconds in which all workers must have come together.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) join_timeout: u64,
    /// Seconds that a worker waits for the others inside a step.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) reply_timeout: u64,
}

impl ConfigArgs {
    /// The config that they ask for.
    pub(crate) fn load(&self) -> anyhow::Result<fewstep::config::RunConfig> {
        let file = self.config.as_deref().map(fewstep::config::ready::find).transpose()?;
        fewstep::config::load(&fewstep::config::Layers { file, set: self.set.clone() })
    }
}
