//! The U-Net that most published pixel models are: diffusers' `UNet2DModel`, and with it the networks of guided-diffusion,
//! improved-diffusion, consistency models and torchcfm, which are wired alike.
//!
//! Levels and paths are described one by one: the up path need not mirror the down path. Names are diffusers', so that a
//! file of that package holds this network as it is.

mod attention;
mod block;
mod config;
mod embedding;
mod network;
mod unet;

pub use config::{ClassInput, LevelBlocks, MidBlock, TimeEmbedding, UNet2dConfig};
