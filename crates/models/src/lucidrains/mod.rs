//! The U-Net of denoising_diffusion_pytorch, in the form that it has since release 2.0.
//!
//! It differs from DDPM's (arXiv 2006.11239) in most layers: norms come after the convolutions and are root mean squares
//! over the channels of a pixel; attention is linear in the number of pixels at all but the innermost level, and every
//! attention has learned keys and values beside those of the image; the image is halved by turning pixels into channels;
//! the first convolution's output meets the last block. Names are that package's, so that a file of it holds this network
//! as it is.

mod attention;
mod block;
mod config;
mod network;
mod unet;

pub use config::{AttentionKind, LevelAttention, LucidrainsConfig};
