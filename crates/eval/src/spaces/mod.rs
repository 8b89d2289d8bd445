//! The feature spaces that configs and flags can name. A space joins by its file and its lines here.

pub(crate) mod inception;
pub(crate) mod pixels;

use crate::feature_space::Protocol;
use crate::registry;
use crate::space::Space;
use pixels::PixelSpace;

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

#[allow(clippy::derivable_impls)] // what stands before a choice in the list is its comment
impl Default for Features {
    fn default() -> Self {
        Self::Pixels
    }
}

#[cfg(test)]
mod tests;
