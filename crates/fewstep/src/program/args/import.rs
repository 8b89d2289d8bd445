//! Arguments of `import`.

use std::path::PathBuf;

use fewstep_models::Prediction;
use fewstep_models::edm::Preconditioner;
use fewstep_schedules::Schedule;
use serde::de::DeserializeOwned;

/// The file says most of it; an error names what it cannot say.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// EDM pickle, torch.save file, flax checkpoint, safetensors, npz, or a folder of diffusers; recognised by its contents.
    pub(crate) file: PathBuf,
    /// Model file to write.
    #[arg(long, short, default_value = "model.safetensors")]
    pub(crate) out: PathBuf,
    /// Which of several networks in the file, such as `ema`: the keys that lead to it, joined by dots.
    #[arg(long)]
    pub(crate) entry: Option<String>,
    /// Height and width of the images, for a U-Net of TRACT's, progressive distillation's or guided-diffusion's code.
    #[arg(long)]
    pub(crate) resolution: Option<i64>,
    /// What a U-Net of those predicts: x0, eps or v (default: eps if it was trained as DDPM by guided-diffusion's code).
    #[arg(long, value_parser = by_name::<Prediction>)]
    pub(crate) prediction: Option<Prediction>,
    /// Attention heads of a U-Net of those (guided-diffusion's `num_heads`).
    #[arg(long, conflicts_with = "head_channels")]
    pub(crate) heads: Option<i64>,
    /// Channels of each of its attention heads, in place of their number (guided-diffusion's `num_head_channels`).
    #[arg(long)]
    pub(crate) head_channels: Option<i64>,
    /// Rows of attention in a file of guided-diffusion's code: legacy, or new if `use_new_attention_order` was set.
    ///
    /// improved-diffusion has the legacy order, and so has torchcfm by default. The files of consistency models have the new
    /// one, whatever was set, and need no flag.
    #[arg(long)]
    pub(crate) attention_order: Option<AttentionOrderArg>,
    /// What a network of guided-diffusion's code was trained as: ddpm-linear, ddpm-cosine, ddpm-sigmoid, flow, edm or
    /// consistency.
    ///
    /// A U-Net of denoising_diffusion_pytorch needs it too, one of the first three, if its file holds the network alone.
    /// Those are tables of `--timesteps` timesteps; flow is torchcfm's flow matching; edm and consistency are a
    /// teacher and a student of consistency models' code, and edm is the default for its files.
    #[arg(long)]
    pub(crate) trained_as: Option<TrainedAsArg>,
    /// The least noise of a consistency model (default: 0.002).
    #[arg(long, requires = "trained_as")]
    pub(crate) sigma_min: Option<f64>,
    /// Preconditioner of an EDM network that is not in EDM's own pickle: edm, vp, ve or iddpm.
    #[arg(long, value_parser = by_kind::<Preconditioner>)]
    pub(crate) preconditioner: Option<Preconditioner>,
    /// Standard deviation of the data behind `--preconditioner edm`, or `--trained-as edm` or consistency (default: 0.5).
    #[arg(long)]
    pub(crate) sigma_data: Option<f64>,
    /// Taps of the resampling filter, such as 1,3,3,1, for an NCSN++ saved without buffers.
    #[arg(long, value_delimiter = ',')]
    pub(crate) resample_filter: Option<Vec<f64>>,
    /// Noise schedule, with the default numbers of its kind: cosine_log_snr, linear_beta, karras, line (flow matching) or betas
    /// (1000 timesteps, betas 1e-4 to 0.02) (default: what the files say, else cosine_log_snr for a DDPM U-Net, karras for EDM's).
    #[arg(long, value_parser = by_kind::<Schedule>)]
    pub(crate) schedule: Option<Schedule>,
    /// Steps of the time grid for sampling (default: the file's own, else 1024, or 40 for EDM's, or as many as the schedule
    /// has). With `--trained-as`
    /// ddpm-linear, ddpm-cosine or ddpm-sigmoid, the timesteps of the table too (default: 1000).
    #[arg(long)]
    pub(crate) timesteps: Option<usize>,
}

/// The order of attention's rows, as the flag has it.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum AttentionOrderArg {
    Legacy,
    New,
}

/// What a network was trained as, as the flag has it.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum TrainedAsArg {
    DdpmLinear,
    DdpmCosine,
    DdpmSigmoid,
    Flow,
    Edm,
    Consistency,
}

/// A choice by its name in a config.
fn by_name<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    serde_json::from_value(name.into()).map_err(|e| e.to_string())
}

/// A choice by the `kind` that it has in a config, with the defaults of its options.
fn by_kind<T: DeserializeOwned>(kind: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::json!({ "kind": kind })).map_err(|e| e.to_string())
}
