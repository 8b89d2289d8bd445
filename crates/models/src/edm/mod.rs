//! The networks of EDM (arXiv 2206.00364) with the names and the wiring of its published checkpoints, so that those can be
//! loaded: SongUNet (NCSN++ and DDPM++ of arXiv 2011.13456) and the ADM U-Net (arXiv 2105.05233), each behind one of the
//! preconditioners of EDM's table 1.
//!
//! What the network computes is `F`; what it answers is `D(x; sigma) = c_skip x + c_out F(c_in x, c_noise)`, in variance
//! exploding scale. [`EdmNetwork`] is the pair; it takes states at any noise level.

mod adm;
mod block;
mod config;
mod conv;
mod decoder;
mod encoder;
mod network;
mod precond;
mod song;
mod wiring;

pub use config::{AdmConfig, Decoder, Encoder, NoiseEmbedding, SongConfig};
pub use network::EdmNetwork;
pub use precond::Preconditioner;
