//! Arguments of `export`.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// Model file, such as runs/digits/model.safetensors.
    #[arg(long, short)]
    pub(crate) model: PathBuf,
    /// Form of the files: `diffusers` is a folder that DDIMPipeline.from_pretrained loads; `torch` is the weights, and one
    /// Python file of the network and its sampler, for every network.
    #[arg(long, default_value = "diffusers")]
    pub(crate) format: ExportFormat,
    /// Folder to write, which must not be there yet.
    #[arg(long, short)]
    pub(crate) out: PathBuf,
    /// Sample as the pipeline does, whose clipped steps keep the noise of the answer before clipping. The images of two or
    /// more clipped steps differ, so measure that student, not this one.
    #[arg(long)]
    pub(crate) keep_noise: bool,
    /// Name in the model card (default: the out folder's).
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Licence of the teacher in the model card, such as apache-2.0 (default: what the README.md of its folder names).
    #[arg(long)]
    pub(crate) licence: Option<String>,
}

/// A form of files.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum ExportFormat {
    Diffusers,
    Torch,
}
