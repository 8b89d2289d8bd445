//! [`Space`]: makes the extractor of a feature space for images of a shape.
//!
//! The spaces that configs and `--features` know are in `spaces/`; one of yours is a type that implements this trait and
//! [`ExtractFeatures`](crate::ExtractFeatures).

use crate::error::Result;
use crate::extractor::Extractor;
use crate::feature_space::ImageShape;
use fewstep_files::published::PublishedSet;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tch::Device;

/// A feature space that images can be compared in.
pub trait Space {
    /// Its name, as messages have it, and as configs and flags do for the spaces of this crate.
    fn name(&self) -> &str;

    /// Other names that users write for a space of this crate.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }

    /// The published files that its extractor reads from the cache, if it reads any.
    fn published(&self) -> Option<&'static PublishedSet> {
        None
    }

    /// The extractor for images of a shape. For a space outside these crates it is made by [`Extractor::of`].
    ///
    /// # Errors
    /// Images that have no features in this space, or files that are missing. An error of yours goes through
    /// [`Error::other`](crate::Error::other).
    fn extractor(&self, shape: ImageShape, options: &FeatureOptions) -> Result<Extractor>;
}

/// What else an extractor depends on.
#[derive(Clone, Debug)]
pub struct FeatureOptions {
    /// The weights of the feature network, if they are not those in the cache.
    pub weights: Option<PathBuf>,
    /// What is done with images of one channel, in a space of three.
    pub grey: Grey,
    /// Where the features are computed.
    pub device: Device,
}

/// What to do with images of one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grey {
    /// Return an error: a grey image among colour images is usually a mistake.
    #[default]
    Refuse,
    /// Use the channel three times, as image libraries do when they convert to RGB, and count the images.
    Replicate,
}
