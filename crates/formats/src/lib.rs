//! Readers of data files nobody vouches for, into plain named arrays.
//!
//! Every reader takes the bytes of a file and gives owned arrays or an [`Error`] that says where the file is wrong.
//! Three promises hold for all of them, and are tested on arbitrary and on damaged input:
//!
//! - no input makes a reader panic;
//! - a size that a file claims is computed without overflow and compared with what is there before anything is
//!   allocated, so that memory stays within a small multiple of the input; packed input is unpacked no further than one
//!   byte past the size its own header promises;
//! - what is accepted is accepted whole: a file with bytes missing or left over is an error.
//!
//! The crate knows neither libtorch nor what the arrays are for.
//!
//! ```
//! let file = [0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 10, 20, 30];
//! let array = fewstep_formats::read_idx(&file)?;
//! assert_eq!((array.dims, array.data), (vec![1, 3], vec![10, 20, 30]));
//! # Ok::<(), fewstep_formats::Error>(())
//! ```

pub mod cifar;
pub mod digits;
mod error;
pub mod gzip;
pub mod idx;

pub use cifar::{Cifar10, read_cifar10};
pub use digits::{Digits, read_digits};
pub use error::{Error, Format, Result};
pub use idx::{IdxArray, read_idx};
