//! Limits on the memory of data sets: each image and each array claims a size, and the caller sets the largest size to
//! accept.
//!
//! The limit does not depend on the file's size, because line drawings and sprites legitimately compress a hundred to one.
//! For models it does (see the [crate]).

use crate::images::image;

/// Limits for a reader of data sets, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Limit for one image, both for its unpacked file and for its decoded pixels.
    pub image: u64,
    /// Limit for the arrays of one archive together. The size of the archive itself is always allowed.
    pub arrays: u64,
}

impl Limits {
    /// The same limit for images and arrays.
    pub fn of(bytes: u64) -> Self {
        Self { image: bytes, arrays: bytes }
    }
}

impl Default for Limits {
    /// 256 MiB per image, 4 GiB of arrays.
    fn default() -> Self {
        Self { image: image::MAX_BYTES, arrays: 4 << 30 }
    }
}
