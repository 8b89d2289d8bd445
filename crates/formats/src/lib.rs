//! Readers of untrusted data files.
//!
//! Every reader takes the bytes of a file and returns owned arrays, or an [`Error`] that says where the file is wrong.
//! All readers keep three promises, which are tested on arbitrary and on damaged input:
//!
//! - No input makes a reader panic.
//! - A size that a file claims is computed without overflow and compared with the input before anything is allocated, so
//!   that memory stays within a small multiple of the input, or for images within a limit. Compressed input is unpacked to
//!   at most one byte more than its header claims.
//! - A file with bytes missing or left over is an error.
//!
//! The memory used beyond the input is as follows. A model takes its arrays and a few per cent. A hostile model file takes
//! at most eight times its size and 3 MiB. Values built from a file (nodes of a pickle, unpacked entries, arrays that share
//! a storage, options) may take six times the file's size and 2 MiB, which is checked before they are allocated; a file
//! that needs more is refused ([`Error::Unfolds`]). The same limit holds for the labels of images.
//!
//! Model files (pickles of torch and EDM, flax's msgpack, safetensors, numpy's arrays) are read into a [`Checkpoint`];
//! [`read_checkpoint`] detects the format. A pickle is a program, but nothing in it is run: the reader knows the globals
//! that tensors need as data, and refuses any other global by name.
//!
//! Images (PNG, JPEG, alone or in a zip archive) are decoded one at a time; images in an npz archive are one array. Their
//! size is bounded by their own header and by a limit that can be set ([`Limits`]: 256 MiB per image, 4 GiB of arrays), not
//! by the file's size, because drawings compress a hundred to one. Nothing that claims more than the limit is unpacked. Use
//! [`read_image`], [`ImageZip`] and [`NpzArrays`].
//!
//! Readers of images are in [`images`], readers of model files in [`checkpoints`]; the other modules (archives, numpy's
//! arrays, gzip) serve both. The crate knows neither libtorch nor the use of the arrays.
//!
//! ```
//! let file = [0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 10, 20, 30];
//! let array = fewstep_formats::read_idx(&file)?;
//! assert_eq!((array.dims, array.data), (vec![1, 3], vec![10, 20, 30]));
//! # Ok::<(), fewstep_formats::Error>(())
//! ```

mod allowance;
mod archive;
pub mod checkpoints;
mod cursor;
mod error;
pub mod gzip;
pub mod images;
pub mod limits;
pub mod npy;
mod npy_header;
pub mod npz;
mod quiet_zip;
mod strided;
pub mod tensor;
pub mod value;

pub use checkpoints::edm_pickle::{read_edm_pickle, read_edm_pickle_entry};
pub use checkpoints::flax::read_flax;
pub use checkpoints::safetensors::read_safetensors;
pub use checkpoints::sniff::{read_checkpoint, sniff};
pub use checkpoints::torch_legacy::read_torch_legacy;
pub use checkpoints::torch_zip::read_torch_zip;
pub use error::{Error, Format, Result, escaped_name};
pub use images::cifar::{Cifar10, read_cifar10};
pub use images::digits::{Digits, read_digits};
pub use images::idx::{IdxArray, read_idx};
pub use images::image::{Image, ImageHeader};
pub use images::image_file::{read_image, read_image_header, read_image_header_within, read_image_within};
pub use images::image_labels::ImageLabels;
pub use images::image_zip::{ImageZip, ImageZipWriter};
pub use images::jpeg::read_jpeg;
pub use images::png::{read_png, write_png};
pub use images::{cifar, digits, image, image_kind, image_labels};
pub use limits::Limits;
pub use npy::{read_npy, write_npy};
pub use npz::{NpzArrays, NpzWriter, read_npz, write_npz};
pub use tensor::{Checkpoint, DType, NamedArray};
pub use value::Value;
