//! The images in a folder, a zip, an npz or a data set: numbered, of any sizes, with their names and labels.

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use fewstep_formats::{Image, ImageHeader, Limits, image_labels::LABELS_FILE};

use super::{
    OnBad, Skipped,
    archive::Archive,
    folder::Folder,
    layout::{Classes, Layout, Tree, display_name},
    npz,
};
use crate::{
    dataset::{Dataset, ImageShape},
    error::{Error, Result},
    limits::limits,
};

/// Images in files, of any sizes, decoded one at a time.
pub struct ImageSource {
    path: PathBuf,
    files: Files,
    /// Numbers of the images that are used, among the images of `files`.
    used: Vec<usize>,
    skipped: Vec<Skipped>,
}

enum Files {
    Tree(Box<dyn Tree>, Layout),
    Decoded(Arc<dyn Dataset>),
}

impl ImageSource {
    /// Opens a folder, a `.zip` or a `.npz` with the limits of [`limits`]. From folders and zips, this reads only names,
    /// labels, and the first bytes of files whose kind does not follow from their name.
    ///
    /// The labels of a folder or a zip come from its `dataset.json`, or from one folder per class: see
    /// [`Self::class_names`].
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Read`] and [`Error::Format`] name the file; [`Error::OverLimit`] for an npz whose
    /// arrays exceed the limit; [`Error::File`] for a path of another kind or without any image, or an npz whose arrays
    /// have the wrong type or shape. With [`OnBad::Refuse`] also for an image without a label if others have one, a label
    /// without an image, an image of a kind that is not supported, and a folder that cannot be read.
    pub fn open(path: &Path, on_bad: OnBad) -> Result<Self> {
        Self::open_within(path, on_bad, limits()?)
    }

    /// Like [`Self::open`], with these limits.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_within(path: &Path, on_bad: OnBad, limits: Limits) -> Result<Self> {
        let (files, skipped) = open(path, on_bad, limits)?;
        let mut source = Self { path: path.to_owned(), used: Vec::new(), files, skipped };
        source.used = (0..source.files.len()).collect();
        source.check_names(on_bad)?;
        if source.used.is_empty() {
            let got = match source.skipped.first() {
                Some(first) => {
                    format!("none but {} that cannot be used, as {}", source.skipped.len(), first.name)
                }
                None => "none".to_owned(),
            };
            let expected = "at least one image (PNG or JPEG)".to_owned();
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

    /// Path of the images; for a data set, its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether there are no images; false for every source that was opened from a path.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// Name of image `i`; empty beyond the end.
    pub fn name(&self, i: usize) -> Cow<'_, str> {
        self.used.get(i).map_or(Cow::Borrowed(""), |&at| self.files.name(at))
    }

    /// Number of classes. Labels are `0..n_classes()`; 0 means that there are no labels.
    pub fn n_classes(&self) -> usize {
        match &self.files {
            Files::Decoded(array) => array.n_classes(),
            Files::Tree(_, layout) => layout.classes.as_ref().map_or(0, |classes| classes.n),
        }
    }

    /// The folder of each class, in the order of the classes; empty if the labels do not come from folders.
    ///
    /// The class of an image is the first folder on its path, below the folder that all images share. Folders without
    /// images are not classes. Classes are numbered in the byte order of their names; if all names are whole numbers, in
    /// numeric order, so that each of the folders "0" to "n-1" has its name as its number.
    pub fn class_names(&self) -> &[String] {
        match &self.files {
            Files::Decoded(array) => array.class_names(),
            Files::Tree(_, layout) => layout.classes.as_ref().map_or(&[], |classes| &classes.names),
        }
    }

    /// Label of image `i`; `None` without labels or beyond the end.
    pub fn label(&self, i: usize) -> Option<usize> {
        let &at = self.used.get(i)?;
        match &self.files {
            Files::Decoded(array) => array.label(at),
            Files::Tree(_, layout) => Some((*layout.classes.as_ref()?.of.get(at)?)? as usize),
        }
    }

    /// What was left out, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Size and channels of image `i`, without decoding it.
    ///
    /// # Errors
    /// Those of [`Self::image`] that the header shows.
    pub fn header(&self, i: usize) -> Result<ImageHeader> {
        let at = self.at(i)?;
        match &self.files {
            Files::Tree(tree, layout) => tree.header(layout.images[at]),
            Files::Decoded(array) => header_of(array.shape()),
        }
    }

    /// Decodes image `i`.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Format`] name the file; [`Error::Invalid`] for an index beyond the end.
    pub fn image(&self, i: usize) -> Result<Image> {
        let at = self.at(i)?;
        match &self.files {
            Files::Tree(tree, layout) => tree.image(layout.images[at]),
            Files::Decoded(array) => {
                let mut planes = vec![0; array.shape().n_values()];
                array.read(at, &mut planes)?;
                let path = || self.path.join(&*self.files.name(at));
                Image::from_planes(header_of(array.shape())?, &planes)
                    .map_err(|source| Error::of_format(path(), source))
            }
        }
    }

    /// Decodes image `i`, which must have this shape, into `out`, `[C, H, W]`.
    pub(super) fn read(&self, i: usize, shape: ImageShape, out: &mut [u8]) -> Result<()> {
        if let Files::Decoded(array) = &self.files {
            return array.read(self.at(i)?, out);
        }
        let image = self.image(i)?;
        let expected = header_of(shape)?;
        if image.header != expected {
            return Err(self.another_size(i, expected, "as it was", image.header));
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

    /// Skips or refuses images of other kinds, labels without images and images without labels.
    fn check_names(&mut self, on_bad: OnBad) -> Result<()> {
        let Files::Tree(tree, layout) = &self.files else { return Ok(()) };
        let mut bad: Vec<(String, String, String)> = Vec::new();
        for &file in &layout.others {
            let name = display_name(&tree.paths()[file]).into_owned();
            bad.push((name, "a PNG or JPEG image".to_owned(), "an image of another kind".to_owned()));
        }
        if let Some(Classes { of, absent, .. }) = &layout.classes {
            for name in absent {
                let expected = format!("the image, as {LABELS_FILE} has a label for it");
                bad.push((name.clone(), expected, "none".to_owned()));
            }
            for (at, _) in of.iter().enumerate().filter(|(_, label)| label.is_none()) {
                let name = self.files.name(at).into_owned();
                bad.push((name, format!("a label in {LABELS_FILE}"), "none".to_owned()));
            }
            self.used.retain(|&at| of.get(at).is_some_and(Option::is_some));
        }
        if let (OnBad::Refuse, Some((name, expected, got))) = (on_bad, bad.first()) {
            let path = self.path.join(name);
            return Err(Error::File { path, expected: expected.clone(), got: got.clone() });
        }
        self.skipped.extend(bad.into_iter().map(|(name, expected, got)| Skipped {
            name,
            reason: format!("expected {expected}, got {got}"),
        }));
        Ok(())
    }
}

impl Files {
    fn len(&self) -> usize {
        match self {
            Self::Tree(_, layout) => layout.images.len(),
            Self::Decoded(array) => array.len(),
        }
    }

    fn name(&self, at: usize) -> Cow<'_, str> {
        match self {
            Self::Tree(tree, layout) => {
                let path = layout.images.get(at).and_then(|&file| tree.paths().get(file));
                display_name(path.map_or(&[], Vec::as_slice))
            }
            Self::Decoded(_) => format!("image {at}").into(),
        }
    }
}

/// The files, and the folders that could not be read.
fn open(path: &Path, on_bad: OnBad, limits: Limits) -> Result<(Files, Vec<Skipped>)> {
    let metadata = match fs_err::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let hint = "give a folder of images, or a .zip or .npz of them".to_owned();
            return Err(Error::Missing { path: path.to_owned(), hint });
        }
        Err(source) => return Err(Error::Read { path: path.to_owned(), source }),
    };
    let extension = path.extension().unwrap_or_default();
    let (tree, skipped): (Box<dyn Tree>, _) = if metadata.is_dir() {
        let (folder, unread) = Folder::open(path, on_bad, limits)?;
        (Box::new(folder), unread)
    } else if extension.eq_ignore_ascii_case("zip") {
        (Box::new(Archive::open(path, limits)?), Vec::new())
    } else if extension.eq_ignore_ascii_case("npz") {
        return Ok((Files::Decoded(Arc::new(npz::open(path, limits)?)), Vec::new()));
    } else {
        return Err(Error::File {
            path: path.to_owned(),
            expected: "a folder, a .zip or a .npz".to_owned(),
            got: "another file".to_owned(),
        });
    };
    let layout = Layout::of(&*tree, path)?;
    Ok((Files::Tree(tree, layout), skipped))
}

/// The header of an image of this shape.
///
/// # Errors
/// [`Error::Invalid`] for sides or channels that a header cannot hold.
pub(crate) fn header_of(shape: ImageShape) -> Result<ImageHeader> {
    let side = |extent: usize| u32::try_from(extent).ok();
    let header = || {
        Some(ImageHeader {
            width: side(shape.w)?,
            height: side(shape.h)?,
            channels: u8::try_from(shape.c).ok()?,
        })
    };
    header().ok_or_else(|| Error::Invalid {
        operation: "an image".to_owned(),
        expected: "sides and channels that an image can have".to_owned(),
        got: format!("{shape:?}"),
    })
}
