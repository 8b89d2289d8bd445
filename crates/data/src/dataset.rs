//! The data set trait: a fixed number of 8-bit images of one shape, with or without labels, read by index.
//!
//! Images are read one at a time into the caller's buffer, so a data set need not fit in memory: a data set that decodes
//! from a memory-mapped archive implements the same trait as [`InMemory`](crate::InMemory).

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
    /// Values per image: `c h w`, or `usize::MAX` if that overflows.
    pub fn n_values(&self) -> usize {
        self.c.saturating_mul(self.h).saturating_mul(self.w)
    }
}

/// A fixed, numbered collection of images, shared by threads.
///
/// The image and label of an index must never change: batches are functions of them.
pub trait Dataset: Send + Sync {
    /// The data set's name in messages.
    fn name(&self) -> &str;

    /// Number of images.
    fn len(&self) -> usize;

    /// Shape of every image.
    fn shape(&self) -> ImageShape;

    /// Number of classes. Labels are `0..n_classes()`; 0 means that the data set has no labels.
    fn n_classes(&self) -> usize;

    /// Names of the classes in the order of their numbers; empty if unknown. Data sets with one folder per class have
    /// names: see [`ImageSource::class_names`](crate::ImageSource::class_names) for their order.
    fn class_names(&self) -> &[String] {
        &[]
    }

    /// Label of image `i`; `None` without labels or beyond the end.
    fn label(&self, i: usize) -> Option<usize>;

    /// Reads image `i` into `out`.
    ///
    /// # Shapes
    /// `out` has `shape().n_values()` bytes and receives `[C, H, W]` in row-major order, 0 to 255.
    ///
    /// # Errors
    /// An index beyond the end, a buffer of another length, or an image that cannot be read.
    fn read(&self, i: usize, out: &mut [u8]) -> Result<()>;

    /// Whether there are no images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was left out when the data set was opened, and why.
    fn skipped(&self) -> &[Skipped] {
        &[]
    }

    /// The [`content_digest`] of this data set. An implementation may return a digest that it already knows.
    ///
    /// # Errors
    /// Those of [`Dataset::read`].
    fn digest(&self) -> Result<String> {
        content_digest(self)
    }
}

/// Bytes of images to read before they are hashed.
const CHUNK_BYTES: usize = 4 << 20;

/// A digest of all images and labels: the sha256, in hexadecimal, of
///
/// ```text
/// "fewstep data set 1\n"  c  h  w  len  then for each image: its c h w bytes, its label
/// ```
///
/// where numbers are little-endian u64 and the label of an unlabelled image is `u64::MAX`. Names and file formats do not
/// matter: equal contents have equal digests. Images are read in parallel, in the caller's rayon pool.
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
    let chunk = (CHUNK_BYTES / n_values.max(1)).clamp(1, dataset.len().max(1));
    // At most CHUNK_BYTES, or one image if that is larger.
    let mut pixels = vec![0; chunk * n_values];
    for first in (0..dataset.len()).step_by(chunk) {
        let n = chunk.min(dataset.len() - first);
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
