//! A zip archive of images: as EDM's tools write (PNG files, stored, and `dataset.json` with their labels), or any other
//! that has images in it.
//!
//! Here it is numbered files, each of which can be asked for as what it is; which of them are images, and what the folders
//! in it mean, is for who knows what a data set is. Images are decoded one at a time out of the archive's bytes, which may
//! be a mapped file larger than memory.

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
    /// Reads the directory, with the limits of [`Limits::default`]; files are looked at only when they are asked for.
    ///
    /// # Errors
    /// [`Error::Part`] for what an archive can be wrong in: entries that lie about where they are, or share bytes or a name.
    pub fn open(bytes: B) -> Result<Self> {
        Self::open_within(bytes, Limits::default())
    }

    /// As [`Self::open`], with other limits.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_within(bytes: B, limits: Limits) -> Result<Self> {
        let archive = Archive::directory(Format::ImageZip, bytes.as_ref())?;
        let files = archive.into_entries().filter(|(name, _)| !name.ends_with('/')).collect();
        Ok(Self { bytes, files, limits })
    }

    /// Number of files; folders have no entry of their own here.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Name of file `i` with the folders that it lies in; files are sorted by it. Names that are not in UTF-8 are read in
    /// code page 437, as archives are unpacked.
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

    /// File `i` as a `dataset.json`, or nothing if it says that there are no labels.
    ///
    /// # Errors
    /// [`Error::Part`] for an entry that is not what the directory says; those of [`ImageLabels::parse`], where the file is
    /// the archive: labels unfold to six times its size and 2 MiB.
    pub fn labels(&self, i: usize) -> Result<Option<ImageLabels>> {
        let (name, entry) = self.entry(i)?;
        let file = self.bytes.as_ref();
        let mut allowance = Allowance::new(Format::ImageZip, file.len() as u64);
        allowance.spend(entry.unpacked_len())?;
        let json = entry.read(Format::ImageZip, name, file, entry.unpacked_len())?;
        ImageLabels::parse_within(&json, &mut allowance)
    }

    /// What image `i` says of itself before its pixels.
    ///
    /// # Errors
    /// As [`Self::read`], for what can be known without decoding the pixels.
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
    /// [`Error::Part`] for an entry that is not what the directory says, or an index beyond the end; [`Error::OverLimit`]
    /// for one that unpacks or decodes to more than the limit; those of [`read_image`](crate::read_image).
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
    /// For a name that is there already, and what `out` fails with.
    pub fn add(&mut self, name: &str, file: &[u8]) -> io::Result<()> {
        self.zip.start(name, file.len() as u64)?;
        io::Write::write_all(&mut self.zip, file)
    }

    /// Adds the labels, or that there are none, and gives back `out` with the whole archive.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn finish(mut self, labels: Option<&ImageLabels>) -> io::Result<W> {
        self.add(LABELS_FILE, &ImageLabels::to_json(labels)?)?;
        self.zip.finish()
    }
}
