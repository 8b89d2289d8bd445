//! Arguments of `bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fewstep_torch::{Compute, DeviceSpec};

/// What is measured, and how.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(crate) what: BenchWhat,
    /// Write the numbers to this file as JSON, with the machine's.
    #[arg(long, global = true)]
    pub(crate) json: Option<PathBuf>,
    /// Seconds per measurement.
    #[arg(long, global = true, default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// Where tensors are.
    #[arg(long, global = true, default_value = "cpu")]
    pub(crate) device: DeviceSpec,
    /// The kind that networks compute in.
    #[arg(long, global = true, default_value = "f32")]
    pub(crate) compute: Compute,
    /// On a GPU, take the fastest kernels of cuDNN, as `training.deterministic = false` does.
    #[arg(long, global = true)]
    pub(crate) nondeterministic: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchWhat {
    /// A training step.
    Step {
        #[command(flatten)]
        network: NetworkArg,
        /// Images of a step.
        #[arg(long, default_value_t = 16)]
        batch: usize,
        /// Images of a forward and backward pass; by default the batch over the threads.
        #[arg(long)]
        micro_batch: Option<usize>,
        /// The objective.
        #[arg(long, default_value = "tract")]
        objective: String,
        /// Also print what libtorch did, operation by operation.
        #[arg(long)]
        profile: bool,
    },
    /// Images from noise by DDIM.
    Sample {
        #[command(flatten)]
        network: NetworkArg,
        /// Images.
        #[arg(long, default_value_t = 16)]
        batch: usize,
        /// Images of one pass on one thread; by default the batch over the threads.
        #[arg(long)]
        micro_batch: Option<usize>,
        /// Steps.
        #[arg(long, default_value_t = 1)]
        steps: usize,
    },
    /// Group norms with their neighbours, fewstep's own beside libtorch's: whether they agree, and how fast they are.
    Norm {
        /// Images.
        #[arg(long, default_value_t = 16)]
        batch: usize,
    },
    /// Clipping, Adam and averages.
    Optim {
        /// Parameters.
        #[arg(long, default_value_t = 36_000_000)]
        parameters: usize,
    },
    /// Batches as training gets them.
    Data {
        #[command(flatten)]
        network: NetworkArg,
        /// Images of a batch.
        #[arg(long, default_value_t = 128)]
        batch: usize,
    },
    /// A training step in other numbers of steps, and in other batches.
    Scale {
        #[command(flatten)]
        network: NetworkArg,
        /// Images of a step; also measured with twice and four times as many.
        #[arg(long, default_value_t = 16)]
        batch: usize,
    },
    /// Print the description of a network, as a config has it, in JSON.
    Network {
        #[command(flatten)]
        network: NetworkArg,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NetworkArg {
    /// digits, small, cifar10, imagenet64, ddpmpp, ncsnpp or adm.
    #[arg(long, default_value = "small")]
    pub(crate) network: String,
}
