//! What a data set is: a fixed number of labelled 8-bit images of one shape, any of which can be read at any time.
//!
//! Images are read one at a time into the caller's buffer, so a data set need not fit in memory: one that decodes from a
//! memory-mapped archive implements the same trait as [`InMemory`](crate::InMemory).

use fewstep_files::Hasher;
use rayon::prelude::*;

use crate::{
    error::{Error, Result},
    images::Skipped,
};

/// The shape `[C, H, W]` of every image of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageShape {
    /// Channels.
    pub c: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl ImageShape {
    /// Values in one image: `c h w`, or `usize::MAX` if that is more than fits.
    pub fn n_values(&self) -> usize {
        self.c.saturating_mul(self.h).saturating_mul(self.w)
    }
}

/// A fixed, numbered collection of images, shared by threads.
///
/// What a data set gives for an index must never change: batches are functions of it.
pub trait Dataset: Send + Sync {
    /// The name that messages use.
    fn name(&self) -> &str;

    /// Number of images.
    fn len(&self) -> usize;

    /// Shape of every image.
    fn shape(&self) -> ImageShape;

    /// Labels are `0..n_classes()`; 0 means that the data set has none.
    fn n_classes(&self) -> usize;

    /// What the classes are called, by their numbers; empty if that is not known. Images in a folder a class know it: see
    /// [`ImageSource::class_names`](crate::ImageSource::class_names) for their order.
    fn class_names(&self) -> &[String] {
        &[]
    }

    /// Label of image `i`; `None` without labels or beyond the end.
    fn label(&self, i: usize) -> Option<usize>;

    /// Writes image `i` to `out`.
    ///
    /// # Shapes
    /// `out` has `shape().n_values()` bytes and receives `[C, H, W]`, the last dimension fastest, 0 to 255.
    ///
    /// # Errors
    /// For an index beyond the end, a buffer of another length, or an image that cannot be read.
    fn read(&self, i: usize, out: &mut [u8]) -> Result<()>;

    /// Whether there is no image at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was left out when the data set was opened, and why.
    fn skipped(&self) -> &[Skipped] {
        &[]
    }

    /// The [`content_digest`] of this data set. One that knows it already may say so instead of reading everything.
    ///
    /// # Errors
    /// Those of [`Dataset::read`].
    fn digest(&self) -> Result<String> {
        content_digest(self)
    }
}

/// Bytes of images that are read before they are digested.
const READ_A_TIME: usize = 4 << 20;

/// What the images and labels are, as one number: the sha256 in hexadecimal of
///
/// ```text
/// "fewstep data set 1\n"  c  h  w  len  then for each image: its c h w bytes, its label
/// ```
///
/// where numbers are little-endian u64 and the label of an unlabelled image is `u64::MAX`. Names and files do not enter:
/// equal contents have equal digests. Images are read in parallel, in the caller's rayon pool.
///
/// # Errors
/// Those of [`Dataset::read`].
pub fn content_digest<D: Dataset + ?Sized>(dataset: &D) -> Result<String> {
    let shape = dataset.shape();
    let mut hasher = Hasher::default();
    hasher.update(b"fewstep data set 1\n");
    for extent in [shape.c, shape.h, shape.w, dataset.len()] {
        hasher.update(&(extent as u64).to_le_bytes());
    }
    let n_values = shape.n_values();
    if isize::try_from(n_values).is_err() {
        return Err(Error::Invalid {
            operation: format!("digest of {}", dataset.name()),
            expected: "images that fit into memory".to_owned(),
            got: format!("{shape:?}"),
        });
    }
    let a_time = (READ_A_TIME / n_values.max(1)).clamp(1, dataset.len().max(1));
    // No more than one image, or what is read a time.
    let mut pixels = vec![0; a_time * n_values];
    for first in (0..dataset.len()).step_by(a_time) {
        let n = a_time.min(dataset.len() - first);
        let images = pixels.par_chunks_mut(n_values.max(1)).take(n);
        images.enumerate().try_for_each(|(i, image)| dataset.read(first + i, image))?;
        for (i, image) in pixels.chunks(n_values.max(1)).take(n).enumerate() {
            hasher.update(image);
            let label = dataset.label(first + i).map_or(u64::MAX, |label| label as u64);
            hasher.update(&label.to_le_bytes());
        }
    }
    Ok(hasher.finish().hex())
}
