//! Images in files: a folder, a zip archive (as EDM's tools write, or of any folder), or an npz archive.
//!
//! An [`ImageSource`] has images of any sizes; [`Images`] is a data set of images of one size. Images are decoded when they
//! are read, so a folder or a zip may be larger than memory. An npz is read into memory as a whole.

mod archive;
mod common_header;
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

/// What to do with an image that cannot be used: it is damaged, has another size than the rest, or has no label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnBad {
    /// Fail at the first such image.
    #[default]
    Refuse,
    /// Leave such images out, and list them with what is wrong.
    Skip,
}

/// A file or folder that was left out of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Name of the file or folder.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}
