//! A zip archive of images, as EDM's tools write: PNG files, stored, and `dataset.json` with their labels.
//!
//! Images are decoded one at a time out of the archive's bytes, which may be a mapped file larger than memory.

use std::{
    borrow::Cow,
    io::{self, Cursor},
};

use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use crate::{
    allowance::Allowance,
    archive::{Archive, Entry},
    error::{Error, Format, Result, shown_name},
    image::{self, Image, ImageHeader, Named, read_image, read_image_header},
    image_labels::{ImageLabels, LABELS_FILE},
};

/// An archive of images.
#[derive(Debug)]
pub struct ImageZip<B> {
    bytes: B,
    /// Sorted by name.
    images: Vec<(String, Entry)>,
    others: Vec<String>,
    labels: Option<ImageLabels>,
}

impl<B: AsRef<[u8]>> ImageZip<B> {
    /// Reads the directory and the labels; images are looked at only when they are asked for.
    ///
    /// # Errors
    /// [`Error::Part`] for what an archive can be wrong in (entries that lie about their sizes, share bytes or a name, or
    /// are encrypted), [`Error::Unfolds`] for one that unpacks to more than 4 MiB and 8 times its size; those of
    /// [`ImageLabels::parse`].
    pub fn open(bytes: B) -> Result<Self> {
        let archive = Archive::open(Format::ImageZip, bytes.as_ref())?;
        let mut allowance = Allowance::new(Format::ImageZip, bytes.as_ref().len() as u64);
        let labels = archive.read(LABELS_FILE)?;
        let labels =
            labels.map(|json| ImageLabels::parse_within(&json, &mut allowance)).transpose()?.flatten();
        let (mut images, mut others) = (Vec::new(), Vec::new());
        for (name, entry) in archive.into_entries() {
            match image::named(&name) {
                Named::Image => images.push((name, entry)),
                Named::OtherImage => others.push(name),
                Named::NoImage => {}
            }
        }
        Ok(Self { bytes, images, others, labels })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Name of image `i`; images are sorted by name.
    pub fn name(&self, i: usize) -> Option<&str> {
        self.images.get(i).map(|(name, _)| name.as_str())
    }

    /// Names of entries that are images of a kind that is not read.
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// The labels, if the archive has any. They may name images that are not there, and leave some out.
    pub fn labels(&self) -> Option<&ImageLabels> {
        self.labels.as_ref()
    }

    /// What image `i` says of itself before its pixels.
    ///
    /// # Errors
    /// As [`Self::read`], for what can be known without decoding the pixels.
    pub fn header(&self, i: usize) -> Result<ImageHeader> {
        let (name, entry) = self.entry(i)?;
        match entry.stored(Format::ImageZip, name, self.bytes.as_ref())? {
            Some(bytes) => read_image_header(Cursor::new(bytes)),
            None => read_image_header(Cursor::new(self.contents(i)?)),
        }
    }

    /// Decodes image `i`.
    ///
    /// # Errors
    /// [`Error::Part`] for an entry that is not what the directory says, or an index beyond the end; those of
    /// [`read_image`].
    pub fn read(&self, i: usize) -> Result<Image> {
        read_image(&self.contents(i)?)
    }

    fn contents(&self, i: usize) -> Result<Cow<'_, [u8]>> {
        let (name, entry) = self.entry(i)?;
        entry.read(Format::ImageZip, name, self.bytes.as_ref())
    }

    fn entry(&self, i: usize) -> Result<&(String, Entry)> {
        self.images.get(i).ok_or_else(|| Error::Part {
            format: Format::ImageZip,
            part: format!("image {i}"),
            expected: format!("an index below {}", self.images.len()),
            got: i.to_string(),
        })
    }
}

/// Writes an archive that [`ImageZip`] and EDM's tools read. The same images in the same order give the same bytes.
pub struct ImageZipWriter<W: io::Write + io::Seek> {
    zip: ZipWriter<W>,
}

impl<W: io::Write + io::Seek> ImageZipWriter<W> {
    /// An empty archive.
    pub fn new(out: W) -> Self {
        Self { zip: ZipWriter::new(out) }
    }

    /// Adds an encoded image.
    ///
    /// # Errors
    /// For a name that is there already, a file of 4 GiB, and what `out` fails with.
    pub fn add(&mut self, name: &str, file: &[u8]) -> io::Result<()> {
        // Images are packed already. A fixed time, as any other would make other bytes.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default());
        self.zip
            .start_file(name, options)
            .map_err(|error| io::Error::other(format!("`{}`: {error}", shown_name(name))))?;
        io::Write::write_all(&mut self.zip, file)
    }

    /// Adds the labels, or that there are none, and gives back `out` with the whole archive.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn finish(mut self, labels: Option<&ImageLabels>) -> io::Result<W> {
        self.add(LABELS_FILE, &ImageLabels::to_json(labels))?;
        Ok(self.zip.finish()?)
    }
}
