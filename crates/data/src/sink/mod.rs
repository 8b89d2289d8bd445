//! Writes images to a folder of PNG files, a zip as EDM's tools read, or an npz, depending on the name of the path.
//!
//! Images are streamed, so any number can be written. The output is written under a temporary name in the same folder and
//! renamed when it is complete; it is removed if it is not finished. The same images give the same bytes.

mod folder;
mod npz;
mod zip;

use std::{
    io,
    path::{Path, PathBuf},
};

use fewstep_formats::{
    Format, Image, ImageLabels,
    image_kind::{Kind, named},
    write_png,
};
use rayon::prelude::*;

use crate::{
    dataset::ImageShape,
    error::{Error, Result},
    images::header_of,
};

/// Writes images to a path.
///
/// ```
/// use fewstep_data::{Dataset, ImageShape, ImageSink, OnBad, open_images};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("grey.zip");
/// let mut sink = ImageSink::create(&path, ImageShape { c: 1, h: 2, w: 2 }, 10)?;
/// sink.push(0, &[0, 1, 2, 3, 4, 5, 6, 7], Some(&[3, 9]))?;
/// sink.finish()?;
///
/// let images = open_images(&path, OnBad::Refuse)?;
/// assert_eq!((images.len(), images.label(1), images.n_classes()), (2, Some(9), 10));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ImageSink {
    path: PathBuf,
    shape: ImageShape,
    n_classes: usize,
    /// The next image number must be at least this.
    next: u64,
    n: usize,
    out: Out,
}

enum Out {
    Folder(folder::FolderSink),
    Zip(Box<zip::ZipSink>),
    Npz(npz::NpzSink),
}

/// The name of image `number`, as in EDM's tools: `00012/img00012345.png`.
fn image_name(number: u64) -> String {
    format!("{:05}/img{number:08}.png", number / 1000)
}

impl ImageSink {
    /// Starts to write images of `shape`, with one or three channels, to `path`: a `.zip`, a `.npz`, or with any other
    /// name a folder. Labels are `0..n_classes`; 0 means that there are no labels.
    ///
    /// # Errors
    /// [`Error::File`] if `path` already exists (an empty folder is accepted) or has the name of an image;
    /// [`Error::Write`] if its parent folder cannot be written to; [`Error::Invalid`] for another number of channels, an
    /// empty image, or an image too large to be read again.
    pub fn create(path: &Path, shape: ImageShape, n_classes: usize) -> Result<Self> {
        let header = header_of(shape)?;
        let readable = header.check(Format::Png);
        readable.map_err(|source| invalid(path, "images that can be read again", source.to_string()))?;
        let is_named = |extension| path.extension().unwrap_or_default().eq_ignore_ascii_case(extension);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_empty =
            |folder: &Path| fs_err::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
        let is_file = is_named("zip") || is_named("npz");
        let wrong = |expected: &str, got: &str| {
            Err(Error::File { path: path.to_owned(), expected: expected.to_owned(), got: got.to_owned() })
        };
        if matches!(named(&name), Some(Kind::Image | Kind::OtherImage)) {
            return wrong("a folder, a .zip or a .npz to write to", "the name of one image");
        }
        if fs_err::symlink_metadata(path).is_ok() && (is_file || !is_empty(path)) {
            return wrong("a place to write to", "something that is there already");
        }
        let out = if is_named("zip") {
            Out::Zip(Box::new(zip::ZipSink::create(path)?))
        } else if is_named("npz") {
            Out::Npz(npz::NpzSink::create(path)?)
        } else {
            Out::Folder(folder::FolderSink::create(path)?)
        };
        Ok(Self { path: path.to_owned(), shape, n_classes, next: 0, n: 0, out })
    }

    /// Adds images with the numbers from `first` on, which are their names in a folder or a zip; an npz keeps only their
    /// order. Images are encoded in parallel, in the caller's rayon pool.
    ///
    /// # Shapes
    /// `pixels` is `[n, C, H, W]` in row-major order; `labels` is `[n]`, or `None` if there are no classes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the wrong number of pixels or labels, a label that is not below `n_classes`, or numbers that
    /// are not above all earlier ones; [`Error::Write`] if the system fails.
    pub fn push(&mut self, first: u64, pixels: &[u8], labels: Option<&[usize]>) -> Result<()> {
        let wrong = |expected: &str, got: String| Err(invalid(&self.path, expected, got));
        let n_values = self.shape.n_values();
        if !pixels.len().is_multiple_of(n_values) {
            return wrong(&format!("images of {n_values} bytes"), format!("{} bytes", pixels.len()));
        }
        let n = pixels.len() / n_values;
        if labels.map(<[usize]>::len) != (self.n_classes > 0).then_some(n) {
            let expected = format!("{n} images with labels of {} classes", self.n_classes);
            return wrong(
                &expected,
                labels.map_or("no labels".to_owned(), |l| format!("{} labels", l.len())),
            );
        }
        if let Some(label) = labels.unwrap_or_default().iter().find(|&&label| label >= self.n_classes) {
            return wrong(&format!("labels below {}", self.n_classes), label.to_string());
        }
        let end = first.checked_add(n as u64).filter(|_| first >= self.next);
        let Some(end) = end else {
            return wrong(&format!("numbers from {} on", self.next), format!("{n} from {first} on"));
        };
        match &mut self.out {
            Out::Npz(npz) => npz.push(pixels, labels)?,
            Out::Folder(folder) => folder.push(&encode(self.shape, first, pixels)?, labels)?,
            Out::Zip(zip) => zip.push(&encode(self.shape, first, pixels)?, labels)?,
        }
        self.next = end;
        self.n += n;
        Ok(())
    }

    /// Number of images so far.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there are no images yet.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Completes the output and renames it to the path. Without this call, nothing is left.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no images; [`Error::Write`] if the system fails or the path exists by now.
    pub fn finish(self) -> Result<()> {
        if self.n == 0 {
            return Err(invalid(&self.path, "at least one image", "none".to_owned()));
        }
        match self.out {
            Out::Folder(folder) => folder.finish(&self.path, self.n_classes),
            Out::Zip(zip) => zip.finish(&self.path, self.n_classes),
            Out::Npz(npz) => npz.finish(&self.path, self.shape, self.n_classes),
        }
    }
}

/// Images as named PNG files.
fn encode(shape: ImageShape, first: u64, pixels: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let header = header_of(shape)?;
    let images = pixels.par_chunks(shape.n_values()).enumerate().map(|(i, planes)| {
        let name = image_name(first + i as u64);
        match Image::from_planes(header, planes).and_then(|image| write_png(&image)) {
            Ok(png) => Ok((name, png)),
            Err(source) => Err(Error::Format { path: name.into(), source }),
        }
    });
    images.collect()
}

/// The labels of the images, if there are classes.
fn image_labels(path: &Path, of: Vec<(String, usize)>, n_classes: usize) -> Result<Option<ImageLabels>> {
    if n_classes == 0 {
        return Ok(None);
    }
    let too_many = || invalid(path, "as many classes as can be read again", n_classes.to_string());
    let n_classes = u32::try_from(n_classes).map_err(|_| too_many())?;
    // `push` has checked that each label is below the number of classes.
    let of = of.into_iter().map(|(name, label)| (name, label as u32)).collect();
    let labels = ImageLabels::new(n_classes, of);
    labels.map(Some).map_err(|source| Error::Format { path: path.to_owned(), source })
}

fn invalid(path: &Path, expected: &str, got: String) -> Error {
    Error::Invalid { operation: format!("images for {}", path.display()), expected: expected.to_owned(), got }
}

fn cannot_write<E: Into<io::Error>>(path: &Path) -> impl Fn(E) -> Error {
    |source| Error::Write { path: path.to_owned(), source: source.into() }
}
