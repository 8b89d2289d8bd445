//! Images and sets of images in files: PNG and JPEG, alone or in a zip with EDM's labels; idx, CIFAR-10's batches and the
//! table of digits. [`image`] defines a decoded image, [`image_file`] reads a PNG or JPEG file.

pub mod cifar;
pub mod digits;
pub mod idx;
pub mod image;
pub mod image_file;
pub mod image_kind;
pub mod image_labels;
pub mod image_zip;
pub(crate) mod jpeg;
mod jpeg_decoder;
mod jpeg_layout;
mod jpeg_planes;
pub(crate) mod png;
