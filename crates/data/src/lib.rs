//! Data sets, deterministic order and draws, prefetch.
//!
//! A training batch is a pure function of `(data set, seed, stage, sample numbers)`: the sample number determines the
//! image, whether it is mirrored, and its noise ([`make_batch`]), whatever the order of the calls or the number of threads.
//! [`Prefetch`] makes the same batches ahead of time in the background; starting it at any sample number continues a run
//! exactly.
//!
//! An [`ImageSource`] reads images in a folder, a zip or an npz. If they have one size, [`open_images`] makes them a data
//! set; [`Shaping`] brings images of several sizes to one. An [`ImageSink`] writes images in any of these forms.
//!
//! A [`DatasetSpec`] describes a data set in a config and opens it; [`digits`] needs no file. `fewstep-formats` parses
//! files, draws come from `fewstep_torch::keyed`, and tensors appear only in a [`Batch`]. The crate knows no networks and
//! no schedules.
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
mod cache;
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
pub use cache::cache_folder;
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
