//! A zip archive of images: as EDM's tools write (stored PNG files, and `dataset.json` with their labels), or any other
//! archive that contains images.
//!
//! This module treats the archive as numbered files that can be read as images or labels. Which files are images, and what
//! the folders mean, is decided by the data set (`fewstep-data`). Images are decoded one at a time from the archive's
//! bytes, which may be a mapped file larger than memory.

use std::{
    borrow::Cow,
    io::{self, Cursor},
};

use crate::{
    allowance::Allowance,
    archive::{Archive, Entry},
    error::{Error, Format, Result},
    images::{
        image::{Image, ImageHeader},
        image_file::{read_image_header_within, read_image_within},
        image_labels::{ImageLabels, LABELS_FILE},
    },
    limits::Limits,
    quiet_zip::QuietZip,
};

/// An archive of images.
#[derive(Debug)]
pub struct ImageZip<B> {
    bytes: B,
    /// Sorted by name.
    files: Vec<(String, Entry)>,
    limits: Limits,
}

impl<B: AsRef<[u8]>> ImageZip<B> {
    /// Reads the directory, with the limits of [`Limits::default`]. Does not read the files.
    ///
    /// # Errors
    /// [`Error::Part`] for a malformed archive, for example if entries are not where the directory says, or share bytes or a
    /// name.
    pub fn open(bytes: B) -> Result<Self> {
        Self::open_within(bytes, Limits::default())
    }

    /// Like [`Self::open`], with these limits.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn open_within(bytes: B, limits: Limits) -> Result<Self> {
        let archive = Archive::directory(Format::ImageZip, bytes.as_ref())?;
        let files = archive.into_entries().filter(|(name, _)| !name.ends_with('/')).collect();
        Ok(Self { bytes, files, limits })
    }

    /// Number of files; folders do not count.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are no files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Path of file `i` in the archive; files are sorted by it. Names that are not UTF-8 are decoded in code page 437, as
    /// unpacking programs do.
    pub fn name(&self, i: usize) -> Option<&str> {
        self.files.get(i).map(|(name, _)| name.as_str())
    }

    /// The number of the file with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.files.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()
    }

    /// The first `most` bytes of file `i`.
    ///
    /// # Errors
    /// [`Error::Part`] for an entry that cannot be unpacked, or an index beyond the end.
    pub fn beginning(&self, i: usize, most: usize) -> Result<Cow<'_, [u8]>> {
        let (name, entry) = self.entry(i)?;
        entry.beginning(Format::ImageZip, name, self.bytes.as_ref(), most)
    }

    /// Parses file `i` as a `dataset.json`; `None` if its labels are null.
    ///
    /// # Errors
    /// [`Error::Part`] for a damaged entry; those of [`ImageLabels::parse`], with a memory limit from the archive's size: six
    /// times its size and 2 MiB.
    pub fn labels(&self, i: usize) -> Result<Option<ImageLabels>> {
        let (name, entry) = self.entry(i)?;
        let file = self.bytes.as_ref();
        let mut allowance = Allowance::new(Format::ImageZip, file.len() as u64);
        allowance.spend(entry.unpacked_len())?;
        let json = entry.read(Format::ImageZip, name, file, entry.unpacked_len())?;
        ImageLabels::parse_within(&json, &mut allowance)
    }

    /// Size and channels of image `i`.
    ///
    /// # Errors
    /// Those of [`Self::read`] that can be found without decoding the pixels.
    pub fn header(&self, i: usize) -> Result<ImageHeader> {
        let (name, entry) = self.entry(i)?;
        match entry.stored(Format::ImageZip, name, self.bytes.as_ref())? {
            Some(bytes) => read_image_header_within(Cursor::new(bytes), self.limits.image),
            None => read_image_header_within(Cursor::new(self.contents(i)?), self.limits.image),
        }
    }

    /// Decodes image `i`.
    ///
    /// # Errors
    /// [`Error::Part`] for a damaged entry, or an index beyond the end; [`Error::OverLimit`] for an image that unpacks or
    /// decodes to more than the limit; those of [`read_image`](crate::read_image).
    pub fn read(&self, i: usize) -> Result<Image> {
        read_image_within(&self.contents(i)?, self.limits.image)
    }

    fn contents(&self, i: usize) -> Result<Cow<'_, [u8]>> {
        let (name, entry) = self.entry(i)?;
        entry.read(Format::ImageZip, name, self.bytes.as_ref(), self.limits.image)
    }

    fn entry(&self, i: usize) -> Result<&(String, Entry)> {
        self.files.get(i).ok_or_else(|| Error::Part {
            format: Format::ImageZip,
            part: format!("file {i}"),
            expected: format!("an index below {}", self.files.len()),
            got: i.to_string(),
        })
    }
}

/// Writes an archive that [`ImageZip`] and EDM's tools read. The same images in the same order give the same bytes.
pub struct ImageZipWriter<W: io::Write + io::Seek> {
    zip: QuietZip<W>,
}

impl<W: io::Write + io::Seek> ImageZipWriter<W> {
    /// An empty archive.
    pub fn new(out: W) -> Self {
        Self { zip: QuietZip::new(out) }
    }

    /// Adds an encoded image.
    ///
    /// # Errors
    /// The name already exists, or writing to `out` fails.
    pub fn add(&mut self, name: &str, file: &[u8]) -> io::Result<()> {
        self.zip.start(name, file.len() as u64)?;
        io::Write::write_all(&mut self.zip, file)
    }

    /// Adds `dataset.json` with the labels or null, and returns `out` with the complete archive.
    ///
    /// # Errors
    /// Those of [`Self::add`].
    pub fn finish(mut self, labels: Option<&ImageLabels>) -> io::Result<W> {
        self.add(LABELS_FILE, &ImageLabels::to_json(labels)?)?;
        self.zip.finish()
    }
}
