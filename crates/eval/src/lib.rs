//! Metrics of generated images: FID, KID, precision and recall, with a record of how each number was computed.
//!
//! [`Quantisation`] rounds images in `[-1, 1]` to 8 bits. An [`Extractor`] maps them to feature rows: pixels, or pool3
//! of the 2015 [`Inception`] network with a named [`Protocol`]. Two types then compute a [`Score`]. Both keep the
//! feature space, so the name of a metric follows from the computation and cannot be chosen; only the Frechet distance
//! in one space is called FID.
//!
//! - [`ImageMoments`] keep only count, mean and covariance, for the Frechet distance from [`ReferenceStats`], which
//!   are files that pytorch-fid and EDM read and write.
//! - [`ImageFeatures`] keep every row, for KID, precision and recall, the bootstrap interval of a FID and its
//!   extrapolation to infinitely many images.
//!
//! What a config can name is in [`MetricChoice`] and [`Features`]. A metric of yours is a type that implements [`Metric`],
//! a feature space one that implements [`Space`] and [`ExtractFeatures`]; their numbers have names of their own.
//!
//! A [`Record`] describes how a number was computed, and [`compare`] decides whether two numbers may be compared.
//! The functions on plain rows are public too: [`frechet_distance`], [`kernel_distance`], [`precision_recall`].
//!
//! This crate uses libtorch, but knows nothing of training, of networks other than feature networks, or of the
//! program.
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
//! assert!((score.value() - 1.0).abs() < 0.02); // a shift of 1, up to 8-bit rounding
//! # Ok(())
//! # }
//! ```

mod compare;
mod error;
mod estimate;
mod extractor;
mod feature_space;
mod frechet;
mod gaussian;
mod generation;
mod image_features;
mod image_moments;
mod metric;
mod metric_name;
mod metrics;
mod moments;
mod name;
mod quantise;
mod record;
mod reference;
mod registry;
mod resample;
mod rows;
mod score;
mod sides;
mod space;
mod spaces;
mod statistic;
#[cfg(test)]
mod test_data;
mod workers;

pub use compare::{Comparison, Difference, Meaning, compare};
pub use error::{Error, Result};
pub use estimate::Estimate;
pub use extractor::{ExtractFeatures, Extractor};
pub use feature_space::{FeatureSpace, ImageShape, NamedSpace, PoolThree, Protocol};
pub use frechet::{frechet_distance, frechet_from_features};
pub use gaussian::Gaussian;
pub use generation::{GenerationSettings, Labels};
pub use image_features::ImageFeatures;
pub use image_moments::ImageMoments;
pub use metric::Metric;
pub use metric_name::MetricName;
pub use metrics::MetricChoice;
pub use metrics::kernel::{KernelSubsets, SubsetMean, kernel_distance, kernel_distance_subsets};
pub use metrics::precision_recall::{PrecisionRecall, precision_recall};
pub use moments::Moments;
pub use name::Name;
pub use quantise::Quantisation;
pub use record::{Generated, Program, Record, Reference, Seeds, Weights};
pub use reference::{ReferenceStats, StatedOrigin};
pub use resample::{Bootstrap, Extrapolation, Interval, Line, frechet_infinity, frechet_interval};
pub use score::{ReferenceCount, Score};
pub use sides::{GeneratedSide, ReferenceSide};
pub use space::{FeatureOptions, Grey, Space};
pub use spaces::Features;
pub use spaces::inception::Inception;
pub use spaces::pixels::Pixels;
pub use statistic::Statistic;
