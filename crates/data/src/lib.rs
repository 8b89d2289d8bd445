//! Image data sets: where they come from, in which order a run shows them, and how they are written.
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
//! use fewstep_data::{Dataset, Order, digits};
//!
//! let digits = digits()?;
//! let order = Order::new(1, 0, digits.len())?;
//! let mut pixels = vec![0; digits.shape().n_values()];
//! digits.read(order.index(0), &mut pixels)?;
//! assert_eq!(pixels.len(), 64);
//! # Ok::<(), fewstep_data::Error>(())
//! ```

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
mod published;
mod shaping;
mod sink;
mod spec;
mod split;

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
pub use shaping::Shaping;
pub use sink::ImageSink;
pub use spec::{DatasetSpec, FolderSpec};
pub use split::Split;
