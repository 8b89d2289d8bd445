//! The U-Net of DDPM (arXiv 2006.11239) with the options that progressive distillation and TRACT use: affine time
//! conditioning, residual resampling, attention by head count or head width, classes, one or two heads.

mod block;
mod config;
mod network;
mod unet;

pub use config::{DdpmConfig, Heads, Resampling};
pub use network::DdpmNetwork;
pub use unet::DdpmUnet;
