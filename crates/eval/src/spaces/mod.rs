//! The feature spaces of this crate, and what is stored of each. A space joins by its file and its lines here.

pub(crate) mod inception;
pub(crate) mod pixels;

use crate::registry;
use crate::space::{NamedSpace, Space};
use inception::{PoolThree, Protocol};
use pixels::PixelSpace;
use std::fmt;

pub use pixels::ImageShape;

// What configs and flags can name.
registry::choices! {
    /// Feature spaces that images can be compared in.
    enum Features, "feature space", space -> Space {
        /// The pixels themselves, for small data. Its Frechet distance is not FID.
        Pixels = PixelSpace,
        /// pool3 of the 2015 Inception network, images resized as the package pytorch-fid does: FID.
        PytorchFid = Protocol::PytorchFid,
        /// The same network, images resized as TensorFlow 1 does, which EDM's and StyleGAN's numbers follow: FID.
        Tf = Protocol::Tf,
    }
}

// What records can name.
registry::feature_spaces! {
    /// The 8-bit pixels themselves, mapped to `[-1, 1]`.
    Pixels(ImageShape) = "pixels",
    /// The mean over the pixels of an Inception network's last block.
    PoolThree(PoolThree) = "inception_pool3",
    /// A space outside these crates, by the name that it gave itself.
    Named(NamedSpace) = "named",
}

#[allow(clippy::derivable_impls)] // what stands before a choice in the list is its comment
impl Default for Features {
    fn default() -> Self {
        Self::Pixels
    }
}

impl FeatureSpace {
    /// Features per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.description().width()
    }

    /// The space in the names of files that are kept of a reference. `None` where nothing is kept: pixels are taken in no time,
    /// and nobody here knows that the digest of a space from outside changes with its code.
    #[must_use]
    pub fn file_name(&self) -> Option<String> {
        self.description().file_name()
    }
}

impl fmt::Display for FeatureSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description().words())
    }
}

#[cfg(test)]
mod tests;
