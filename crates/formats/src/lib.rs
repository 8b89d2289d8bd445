//! Readers of data files nobody vouches for, into plain named arrays.
//!
//! Every reader takes the bytes of a file and gives owned arrays or an [`Error`] that says where the file is wrong.
//! Three promises hold for all of them, and are tested on arbitrary and on damaged input:
//!
//! - no input makes a reader panic;
//! - a size that a file claims is computed without overflow and compared with what is there before anything is
//!   allocated, so that memory stays within a small multiple of the input, or for images within a limit; packed input is
//!   unpacked no further than one byte past the size its own header promises;
//! - what is accepted is accepted whole: a file with bytes missing or left over is an error.
//!
//! In numbers, beyond the input: a model takes its arrays and a few per cent. A hostile model file takes at most eight
//! times its size and 3 MiB, however it is made. What is built out of a file (the values of a pickle, what its archive
//! unpacks to, arrays that share what is stored, options) may be six times the file and 2 MiB, and is paid for before it
//! exists; a file that asks for more is refused ([`Error::Unfolds`]). The same holds of the labels of images.
//!
//! Model files (pickles of torch and of EDM, flax's msgpack, safetensors, numpy's arrays) all become a [`Checkpoint`]:
//! [`read_checkpoint`] tells which it is. A pickle is a program, and none of it is run here: only the globals that tensors
//! need are known, as data, and any other is refused by name.
//!
//! Images (PNG, JPEG, alone or in a zip archive) are decoded one at a time, and images in an npz archive are one array. Each
//! is bounded by what its own header says and by a limit that can be set ([`Limits`]: 256 MiB an image, 4 GiB of arrays),
//! not by the file's size, as drawings are packed a hundred to one. Nothing is unpacked that claims more than the limit.
//! [`read_image`], [`ImageZip`] and [`NpzArrays`] are their doors.
//!
//! The readers of images are in [`images`], those of model files in [`checkpoints`], and beside them what both use: archives,
//! numpy's arrays, gzip. The crate knows neither libtorch nor what the arrays are for.
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
pub use error::{Error, Format, Result};
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
