//! Data sets, deterministic order and draws, prefetch.
//!
//! A training batch here is a pure function of `(data set, seed, stage, sample numbers)`: sample number `n` decides which
//! image is shown, whether it is mirrored and which noise meets it ([`make_batch`]), whoever asks, in whatever order,
//! with however many threads. [`Prefetch`] makes the same batches ahead of time in the background; starting it at any
//! sample number continues a run exactly.
//!
//! Images in a folder, a zip or an npz are an [`ImageSource`]; if they are of one size, [`open_images`] makes a data set of
//! them, and if not, [`Shaping`] makes them so. An [`ImageSink`] writes them in any of these forms.
//!
//! Data sets are opened from a [`DatasetSpec`], which is what a config holds; [`digits`] needs no file. Files are parsed
//! by `fewstep-formats`, draws come from `fewstep_torch::keyed`, and tensors appear only in a [`Batch`]. The crate knows
//! no networks and no schedules.
//!
//! ```
//! use fewstep_data::{DrawConfig, digits, make_batch};
//!
//! let digits = digits()?;
//! let draws = DrawConfig { seed: 1, stage: 0, flip: false };
//! let batch = make_batch(&digits, &draws.order(&digits)?, &draws, 0, 16)?;
//! assert_eq!(batch.x0.size(), [16, 1, 8, 8]);
//! # Ok::<(), fewstep_data::Error>(())
//! ```

mod batch;
mod cifar10;
mod dataset;
mod digits;
mod error;
mod evenly;
mod found;
mod images;
mod in_memory;
mod limits;
mod mapped;
mod mnist;
mod order;
mod prefetch;
mod published;
mod shaping;
mod sink;
mod spec;
mod split;

pub use batch::{Batch, DrawConfig, make_batch};
pub use cifar10::open_cifar10;
pub use dataset::{Dataset, ImageShape, content_digest};
pub use digits::{DIGITS_CSV_GZ, digits};
pub use error::{Error, MAX_BYTES_VARIABLE, Result};
pub use evenly::evenly;
pub use fewstep_formats::{Image, ImageHeader, Limits};
pub use images::{ImageSource, Images, OnBad, Skipped, open_images, open_images_within};
pub use in_memory::InMemory;
pub use limits::limits;
pub use mnist::{open_fashion_mnist, open_mnist};
pub use order::Order;
pub use prefetch::Prefetch;
pub use shaping::Shaping;
pub use sink::ImageSink;
pub use spec::{DatasetSpec, FolderSpec};
pub use split::Split;
