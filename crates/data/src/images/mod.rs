//! Images in files: a folder, a zip archive (as EDM's tools write, or of any folder), or an npz archive.
//!
//! An [`ImageSource`] is what lies there, of any sizes; [`Images`] is a data set of it, all of one size. Images are decoded
//! when they are read, so that a folder or a zip may be larger than memory; an npz lies in memory whole.

mod archive;
mod common;
mod folder;
mod layout;
mod npz;
mod one_size;
mod source;

use serde::{Deserialize, Serialize};

pub(crate) use npz::N_CLASSES;
pub use one_size::{Images, open_images, open_images_within};
pub use source::ImageSource;
pub(crate) use source::header_of;

/// What to do about an image that cannot be used: damaged, of another size than the rest, without a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBad {
    /// The first one is an error.
    #[default]
    Refuse,
    /// Leave it out, and say so.
    Skip,
}

/// Something that was left out of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}
