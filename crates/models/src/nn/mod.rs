//! Layers: each a few parameter handles and a pure function `forward(params, x)`.

mod attention;
mod conv;
mod dropout;
mod embedding;
mod filter;
mod init;
mod linear;
mod norm;
mod resample;

pub use attention::SelfAttention;
pub use conv::Conv2d;
pub use dropout::Dropout;
pub use embedding::{SinusoidOrder, position_frequencies, sinusoids};
pub use filter::ResampleFilter;
pub use init::{LayerInit, Scaling};
pub use linear::Linear;
pub use norm::GroupNorm;
pub use resample::{average_pool_2x, nearest_upsample_2x};
