//! Arguments of `sample`.

use std::path::PathBuf;

use super::sampler::SamplerArgs;
use fewstep::evaluation::LabelChoice;

#[derive(Debug, clap::Args)]
pub(crate) struct SampleArgs {
    /// Model file, such as runs/digits/model.safetensors.
    #[arg(long, short)]
    pub(crate) model: PathBuf,
    /// What to write: a .png is one picture of all images; a .zip, a .npz or a folder holds them one by one, named by seed; a
    /// .npy holds the numbers before rounding, f32 [N, C, H, W], nominally in [-1, 1].
    #[arg(long, short, default_value = "samples.png")]
    pub(crate) out: PathBuf,
    /// Number of images.
    #[arg(long, short, default_value_t = 64)]
    pub(crate) n: u64,
    /// Seed of the first image; image k has seed first + k, and one seed is one image.
    #[arg(long, default_value_t = 0)]
    pub(crate) first_seed: u64,
    /// Noise to start from instead of the seeds': an .npy of standard normal draws, f32 or f64 [N, C, H, W], one image each.
    #[arg(long, value_name = "NPY", conflicts_with_all = ["n", "first_seed"])]
    pub(crate) noise: Option<PathBuf>,
    /// Sampling steps (default: those that the model was made for).
    #[arg(long)]
    pub(crate) steps: Option<usize>,
    #[command(flatten)]
    pub(crate) sampler: SamplerArgs,
    /// Class of every image (default: each seed draws its own), for a model with classes.
    #[arg(long, conflicts_with = "labels")]
    pub(crate) class: Option<i64>,
    /// How seeds draw their classes: data (default), as often as in the data of the model's training if its card says; or
    /// uniform.
    #[arg(long, value_name = "RULE")]
    pub(crate) labels: Option<LabelChoice>,
    /// Images per batch.
    #[arg(long, default_value_t = 64)]
    pub(crate) batch: usize,
    /// auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto")]
    pub(crate) device: fewstep_torch::DeviceSpec,
    /// Kind that the network computes in, f32 or f64 (default: the model's own).
    #[arg(long)]
    pub(crate) compute: Option<fewstep_torch::Compute>,
}
