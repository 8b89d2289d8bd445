//! The extractor of a feature space, for the images of a data set.

use anyhow::Result;
use fewstep_data::ImageShape;
use fewstep_eval::{Extractor, FeatureOptions, Space};

/// The extractor of `space` for images of a shape.
///
/// # Errors
/// Images that have no features in the space, or files that are missing.
pub fn extractor(space: &dyn Space, shape: ImageShape, options: &FeatureOptions) -> Result<Extractor> {
    let [channels, height, width] = [shape.c, shape.h, shape.w].map(|extent| extent as u32);
    Ok(space.extractor(fewstep_eval::ImageShape { channels, height, width }, options)?)
}
