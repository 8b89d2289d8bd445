//! Image data sets: where they come from, in which order a run shows them, and how they are written.
//!
//! A [`Dataset`] is a fixed number of labelled 8-bit images of one shape; yours is a type that implements it. [`Order`]
//! says which image sample number `n` of a run shows: each epoch shows every image once, in an order that is a function of
//! the seed alone. Published sets are opened from a [`DatasetSpec`], which is what a config holds; [`digits`] needs no file.
//!
//! An [`ImageSource`] reads images from a folder, a zip or an npz. If they are of one size, [`open_images`] makes a data set
//! of them; if not, [`Shaping`] makes them so. An [`ImageSink`] writes images in any of these forms.
//!
//! Files are parsed by `fewstep-formats`, draws come from `fewstep-random`. The crate knows no tensors, no networks and no
//! schedules: `fewstep-train` makes batches of its images.
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
