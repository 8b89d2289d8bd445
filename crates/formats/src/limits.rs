//! The most memory that data sets may ask for: each image and each array says itself how large it is, and whoever reads it
//! says how much is too much.
//!
//! What a file says is not measured against the file's size: line drawings and sprites are honestly packed a hundred to
//! one. Models have another rule, by their size (see the [crate]).

use crate::images::image;

/// The limits of a reader of data sets, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most that one image may take, packed as a file and again when decoded.
    pub image: u64,
    /// The most that the arrays of one archive may take; as much as the archive itself is always allowed.
    pub arrays: u64,
}

impl Limits {
    /// One limit for both.
    pub fn of(bytes: u64) -> Self {
        Self { image: bytes, arrays: bytes }
    }
}

impl Default for Limits {
    /// 256 MiB an image, 4 GiB of arrays.
    fn default() -> Self {
        Self { image: image::MAX_BYTES, arrays: 4 << 30 }
    }
}
