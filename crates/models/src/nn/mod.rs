//! Layers: each a few parameter handles and a pure function `forward(params, x)`.

mod activation;
mod attention;
mod conv;
mod dropout;
mod embedding;
mod filter;
mod init;
mod linear;
mod norm;
mod resample;
mod rms_norm;

pub use activation::Activation;
pub use attention::SelfAttention;
pub(crate) use attention::attend;
pub use conv::Conv2d;
pub use dropout::Dropout;
pub use embedding::{SinusoidOrder, position_frequencies, sinusoids};
pub use filter::ResampleFilter;
pub use init::{LayerInit, Scaling};
pub use linear::Linear;
pub use norm::{Around, GroupNorm, Groups};
pub use resample::{average_pool_2x, nearest_upsample_2x, space_to_depth_2x};
pub use rms_norm::RmsNorm;
