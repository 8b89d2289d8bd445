//! Layers: each a few parameter handles and a pure function `forward(params, x)`.

mod attention;
mod conv;
mod embedding;
mod linear;
mod norm;
mod resample;

pub use attention::SelfAttention;
pub use conv::Conv2d;
pub use embedding::{embed_sin_cos, geometric_frequencies};
pub use linear::Linear;
pub use norm::GroupNorm;
pub use resample::{average_pool_2x, nearest_upsample_2x};
