//! How good a set of generated images is, as a number that says how it was made.
//!
//! Images in `[-1, 1]` are brought to 8 bits ([`Quantisation`]) and mapped to feature rows by an [`Extractor`]:
//! pixels, or pool3 of the 2015 [`Inception`] network under a named [`Protocol`]. From there two routes lead to a
//! [`Score`]. Both carry the feature space along, so that a metric's name follows from what was computed and
//! cannot be chosen; FID is the Frechet distance in one space and no other.
//!
//! - [`ImageMoments`] stream: count, mean and covariance, for the Frechet distance from [`ReferenceStats`], which
//!   are files that pytorch-fid and EDM read and write.
//! - [`ImageFeatures`] keep every row, for KID, precision and recall, the bootstrap interval of a FID and its
//!   extrapolation to infinitely many images.
//!
//! A [`Record`] stands beside every number, and [`compare`] says whether two numbers may stand in one table.
//! Beneath lie functions on plain rows: [`frechet_distance`], [`kernel_distance`], [`precision_recall`].
//!
//! In the layers: above libtorch only; knows no training, no networks but feature networks, no program.
//!
//! ```
//! use fewstep_eval::{Extractor, ImageMoments, ImageShape, Quantisation};
//! use fewstep_torch::ScalarOps;
//! use tch::{Device, Kind, Tensor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pixels = Extractor::pixels(ImageShape { channels: 1, height: 1, width: 1 })?;
//! let mut dark = ImageMoments::new(&pixels, Device::Cpu)?;
//! let mut light = ImageMoments::new(&pixels, Device::Cpu)?;
//! let images = Tensor::f_from_slice(&[-1.0, -0.5, 0.0])?.f_reshape([3, 1, 1, 1])?;
//! dark.push(&pixels, &Quantisation::HalfToEven.apply(&images)?)?;
//! light.push(&pixels, &Quantisation::HalfToEven.apply(&images.add_number(1.0)?)?)?;
//! let score = dark.frechet(&light)?;
//! assert_eq!(score.metric().name(), "frechet[pixels]");
//! assert!((score.value() - 1.0).abs() < 0.02); // moved by 1, but for 8-bit rounding
//! # Ok(())
//! # }
//! ```

mod compare;
mod error;
mod features;
mod frechet;
mod gaussian;
mod image_features;
mod image_moments;
mod inception;
mod kernel;
mod making;
mod metric;
mod moments;
mod neighbours;
mod quantise;
mod record;
mod reference;
mod resample;
mod rows;
mod score;
#[cfg(test)]
mod test_data;
mod workers;

pub use compare::{Comparison, Difference, Meaning, compare};
pub use error::{Error, Result};
pub use features::{Extractor, FeatureSpace, ImageShape, Pixels};
pub use frechet::{frechet_distance, frechet_from_features};
pub use gaussian::Gaussian;
pub use image_features::ImageFeatures;
pub use image_moments::ImageMoments;
pub use inception::{Grey, Inception, PoolThree, Protocol};
pub use kernel::{KernelSubsets, SubsetMean, kernel_distance, kernel_distance_subsets};
pub use making::{Labels, Making};
pub use metric::{Metric, Statistic};
pub use moments::Moments;
pub use neighbours::{PrecisionRecall, precision_recall};
pub use quantise::Quantisation;
pub use record::{Generated, Program, Record, Reference, Seeds, Weights};
pub use reference::{Claim, ReferenceStats};
pub use resample::{Bootstrap, Extrapolation, Interval, Line, frechet_infinity, frechet_interval};
pub use score::{Estimate, ReferenceCount, Score};
