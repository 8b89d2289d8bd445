//! Arguments of `import`.

use std::path::PathBuf;

use fewstep_models::Prediction;
use fewstep_models::edm::Preconditioner;
use fewstep_schedules::Schedule;
use serde::de::DeserializeOwned;

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
    /// Noise schedule, with the default numbers of its kind: cosine_log_snr, linear_beta, karras, line (flow matching) or betas
    /// (1000 timesteps, betas 1e-4 to 0.02) (default: cosine_log_snr for a DDPM U-Net, karras for EDM's).
    #[arg(long, value_parser = by_kind::<Schedule>)]
    pub(crate) schedule: Option<Schedule>,
    /// Steps of the time grid for sampling (default: the file's own, else 1024, or 40 for EDM's, or as many as the schedule has).
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
