//! Feature spaces: [`Space`] makes an extractor for images of a shape, [`ExtractFeatures`] is what it extracts with.
//!
//! The spaces that configs and `--features` know are in `spaces/`; one of yours is a type that implements the two traits.
//! What distinguishes a space from others is a [`FeatureSpace`], which travels with the rows and enters the record.

use crate::error::{Error, Result};
use crate::extractor::Extractor;
use crate::name::Name;
use crate::spaces::inception::Grey;
use crate::spaces::{FeatureSpace, ImageShape};
use fewstep_files::Digest;
use fewstep_files::published::PublishedSet;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tch::{Device, Tensor};

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
    /// [`Error::other`].
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

/// Maps 8-bit images to feature rows.
pub trait ExtractFeatures: Send {
    /// The space of the rows. Two extractors with the same space must give the same rows; outside these crates it is a
    /// [`FeatureSpace::Named`].
    fn space(&self) -> FeatureSpace;

    /// Feature rows of images, which may be none.
    ///
    /// # Shapes
    /// `images [B, C, H, W]` u8 -> `[B, width]`, floating point, on any device.
    ///
    /// # Errors
    /// Images that have no features in this space. An error of yours goes through [`Error::other`].
    fn features(&self, images: &Tensor) -> Result<Tensor>;

    /// How many of these images are grey, so that [`ExtractFeatures::features`] replicates their channel.
    fn n_grey(&self, images: &Tensor) -> u64 {
        let _ = images;
        0
    }
}

/// What is stored of a feature space, and what it says of itself.
pub(crate) trait Described {
    /// Features per row.
    fn width(&self) -> usize;

    /// Every label of such spaces, to be refused to spaces outside these crates.
    fn labels() -> &'static [&'static str]
    where
        Self: Sized;

    /// The space in the name of a metric: `pixels` of `frechet[pixels]`.
    fn label(&self) -> &str;

    /// Whether it is the space in which a Frechet distance is called FID.
    fn makes_fid(&self) -> bool {
        false
    }

    /// What stands beside the name of a metric, to tell spaces of one label apart.
    fn variant(&self) -> Option<&str> {
        None
    }

    /// The space in words, with everything that distinguishes it.
    fn words(&self) -> String;

    /// What is compared of two such spaces: names and values.
    fn parts(&self) -> Vec<(&'static str, String)> {
        vec![("feature space", self.words())]
    }

    /// The space in the names of files that are kept of a reference; `None` where nothing is kept.
    fn file_name(&self) -> Option<String> {
        None
    }
}

/// What is stored of a feature space outside these crates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedSpace {
    /// What it calls itself.
    pub name: Name,
    /// Digest of everything that its features depend on, such as a network's parameters and how its input is prepared.
    pub digest: Digest,
    /// Features per row.
    pub width: u32,
}

impl Described for NamedSpace {
    fn width(&self) -> usize {
        self.width as usize
    }

    fn labels() -> &'static [&'static str] {
        &[]
    }

    fn label(&self) -> &str {
        self.name.as_str()
    }

    fn words(&self) -> String {
        let Self { name, digest, width } = self;
        format!("{name} of {width} features, {digest}")
    }
}

pub(crate) fn same_space(operation: &'static str, expected: &FeatureSpace, got: &FeatureSpace) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(Error::Space { operation, expected: expected.to_string(), got: got.to_string() })
}
