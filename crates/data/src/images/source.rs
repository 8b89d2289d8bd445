//! What lies in a folder, a zip or an npz, or in a data set: numbered images of any sizes, with their names and labels.

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use fewstep_formats::{Image, ImageHeader, ImageLabels, ImageZip, image_labels::LABELS_FILE};
use memmap2::Mmap;

use super::{OnBad, Skipped, folder::Folder, npz};
use crate::{
    dataset::{Dataset, ImageShape},
    error::{Error, Result},
    mapped::map,
};

/// Images as they lie in files: of any sizes, decoded one at a time.
pub struct ImageSource {
    path: PathBuf,
    files: Files,
    /// The images that are used, by their number in `files`.
    used: Vec<usize>,
    skipped: Vec<Skipped>,
}

enum Files {
    Folder(Folder),
    Zip(ImageZip<Mmap>),
    Decoded(Arc<dyn Dataset>),
}

impl ImageSource {
    /// Opens a folder, a `.zip` or a `.npz`; of folders and zips only names and labels are read.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Read`] and [`Error::Format`] name the file; [`Error::File`] for a path that is none of
    /// these, without a single image, or an npz whose arrays have another type or shape. With [`OnBad::Refuse`] also for
    /// an image without a label where others have one, a label without an image, and an image of a kind that is not read.
    pub fn open(path: &Path, on_bad: OnBad) -> Result<Self> {
        let files = open(path)?;
        let mut source = Self { path: path.to_owned(), used: Vec::new(), files, skipped: Vec::new() };
        source.used = (0..source.files.len()).collect();
        source.check_names(on_bad)?;
        if source.used.is_empty() {
            let got = match source.skipped.first() {
                Some(first) => {
                    format!("none but {} that cannot be used, as {}", source.skipped.len(), first.name)
                }
                None => "none".to_owned(),
            };
            let expected = "at least one image (.png, .jpg, .jpeg)".to_owned();
            return Err(Error::File { path: source.path, expected, got });
        }
        Ok(source)
    }

    /// The images of a data set.
    pub fn of(dataset: Arc<dyn Dataset>) -> Self {
        let skipped = dataset.skipped().to_vec();
        let used = (0..dataset.len()).collect();
        Self { path: dataset.name().into(), used, skipped, files: Files::Decoded(dataset) }
    }

    /// Where the images lie; the name of a data set.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether there is no image; there is always one.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// Name of image `i`; empty beyond the end.
    pub fn name(&self, i: usize) -> Cow<'_, str> {
        self.used.get(i).map_or(Cow::Borrowed(""), |&at| self.files.name(at))
    }

    /// Labels are `0..n_classes()`; 0 means that there are none.
    pub fn n_classes(&self) -> usize {
        match &self.files {
            Files::Decoded(array) => array.n_classes(),
            files => files.labels().map_or(0, |labels| labels.n_classes() as usize),
        }
    }

    /// Label of image `i`; `None` without labels or beyond the end.
    pub fn label(&self, i: usize) -> Option<usize> {
        let &at = self.used.get(i)?;
        match &self.files {
            Files::Decoded(array) => array.label(at),
            files => Some(files.labels()?.get(&files.name(at))? as usize),
        }
    }

    /// What was left out, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Size and channels of image `i`, without decoding it.
    ///
    /// # Errors
    /// As [`Self::image`], for what can be known so.
    pub fn header(&self, i: usize) -> Result<ImageHeader> {
        let at = self.at(i)?;
        match &self.files {
            Files::Folder(folder) => folder.header(&folder.names[at]),
            Files::Zip(zip) => zip.header(at).map_err(|source| self.in_file(at, source)),
            Files::Decoded(array) => Ok(header_of(array.shape())),
        }
    }

    /// Decodes image `i`.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Format`] name the file; [`Error::Invalid`] for an index beyond the end.
    pub fn image(&self, i: usize) -> Result<Image> {
        let at = self.at(i)?;
        match &self.files {
            Files::Folder(folder) => folder.image(&folder.names[at]),
            Files::Zip(zip) => zip.read(at).map_err(|source| self.in_file(at, source)),
            Files::Decoded(array) => {
                let mut planes = vec![0; array.shape().n_values()];
                array.read(at, &mut planes)?;
                Image::from_planes(header_of(array.shape()), &planes)
                    .map_err(|source| self.in_file(at, source))
            }
        }
    }

    /// Decodes image `i`, which must be of this shape, to `out`, `[C, H, W]`.
    pub(super) fn read(&self, i: usize, shape: ImageShape, out: &mut [u8]) -> Result<()> {
        if let Files::Decoded(array) = &self.files {
            return array.read(self.at(i)?, out);
        }
        let image = self.image(i)?;
        if image.header != header_of(shape) {
            return Err(self.another_size(i, header_of(shape), "as it was", image.header));
        }
        image.write_planes(out);
        Ok(())
    }

    pub(super) fn another_size(&self, i: usize, expected: ImageHeader, why: &str, got: ImageHeader) -> Error {
        Error::File {
            path: self.path.join(&*self.name(i)),
            expected: format!("an image of {expected} (channels, height, width) {why}"),
            got: got.to_string(),
        }
    }

    fn at(&self, i: usize) -> Result<usize> {
        self.used.get(i).copied().ok_or_else(|| Error::Invalid {
            operation: format!("read of {}", self.path.display()),
            expected: format!("an index below {}", self.used.len()),
            got: i.to_string(),
        })
    }

    fn in_file(&self, at: usize, source: fewstep_formats::Error) -> Error {
        Error::Format { path: self.path.join(&*self.files.name(at)), source }
    }

    /// Leaves out, or refuses, what is wrong by its name.
    fn check_names(&mut self, on_bad: OnBad) -> Result<()> {
        let mut bad: Vec<(&str, String, String)> = Vec::new();
        for name in self.files.others() {
            bad.push((name, "a PNG or JPEG image".to_owned(), "an image of another kind".to_owned()));
        }
        let mut unlabelled = Vec::new();
        if let (Some(labels), Some(names)) = (self.files.labels(), self.files.names()) {
            let has = |name: &str| names.binary_search(&name).is_ok();
            for name in labels.names().filter(|name| !has(name)) {
                let expected = format!("the image, as {LABELS_FILE} has a label for it");
                bad.push((name, expected, "none".to_owned()));
            }
            for (at, &name) in names.iter().enumerate().filter(|(_, name)| labels.get(name).is_none()) {
                bad.push((name, format!("a label in {LABELS_FILE}"), "none".to_owned()));
                unlabelled.push(at);
            }
        }
        if let (OnBad::Refuse, Some((name, expected, got))) = (on_bad, bad.first()) {
            let path = self.path.join(name);
            return Err(Error::File { path, expected: expected.clone(), got: got.clone() });
        }
        self.skipped = bad
            .into_iter()
            .map(|(name, expected, got)| Skipped {
                name: name.to_owned(),
                reason: format!("expected {expected}, got {got}"),
            })
            .collect();
        self.used.retain(|at| unlabelled.binary_search(at).is_err());
        Ok(())
    }
}

impl Files {
    fn len(&self) -> usize {
        match self {
            Self::Folder(folder) => folder.names.len(),
            Self::Zip(zip) => zip.len(),
            Self::Decoded(array) => array.len(),
        }
    }

    fn name(&self, at: usize) -> Cow<'_, str> {
        match self {
            Self::Folder(folder) => folder.names.get(at).map_or("", String::as_str).into(),
            Self::Zip(zip) => zip.name(at).unwrap_or_default().into(),
            Self::Decoded(_) => format!("image {at}").into(),
        }
    }

    /// Sorted; what lies decoded has none.
    fn names(&self) -> Option<Vec<&str>> {
        match self {
            Self::Folder(folder) => Some(folder.names.iter().map(String::as_str).collect()),
            Self::Zip(zip) => Some((0..zip.len()).filter_map(|at| zip.name(at)).collect()),
            Self::Decoded(_) => None,
        }
    }

    fn others(&self) -> &[String] {
        match self {
            Self::Folder(folder) => &folder.others,
            Self::Zip(zip) => zip.others(),
            Self::Decoded(_) => &[],
        }
    }

    fn labels(&self) -> Option<&ImageLabels> {
        match self {
            Self::Folder(folder) => folder.labels.as_ref(),
            Self::Zip(zip) => zip.labels(),
            Self::Decoded(_) => None,
        }
    }
}

fn open(path: &Path) -> Result<Files> {
    let metadata = match fs_err::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let hint = "give a folder of images, or a .zip or .npz of them".to_owned();
            return Err(Error::Missing { path: path.to_owned(), hint });
        }
        Err(source) => return Err(Error::Read { path: path.to_owned(), source }),
    };
    if metadata.is_dir() {
        return Folder::open(path).map(Files::Folder);
    }
    let extension = path.extension().unwrap_or_default();
    if extension.eq_ignore_ascii_case("zip") {
        let zip = ImageZip::open(map(path)?);
        zip.map(Files::Zip).map_err(|source| Error::Format { path: path.to_owned(), source })
    } else if extension.eq_ignore_ascii_case("npz") {
        Ok(Files::Decoded(Arc::new(npz::open(path)?)))
    } else {
        Err(Error::File {
            path: path.to_owned(),
            expected: "a folder, a .zip or a .npz".to_owned(),
            got: "another file".to_owned(),
        })
    }
}

/// The header of an image of this shape; sides beyond what a header holds are beyond what is read, too.
pub(crate) fn header_of(shape: ImageShape) -> ImageHeader {
    let side = |extent: usize| u32::try_from(extent).unwrap_or(u32::MAX);
    let channels = u8::try_from(shape.c).unwrap_or(u8::MAX);
    ImageHeader { width: side(shape.w), height: side(shape.h), channels }
}
