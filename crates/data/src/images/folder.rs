//! A folder of images, in one of three layouts:
//!
//! - with a `dataset.json` in it, as EDM's tools write: images anywhere below, labels from that file;
//! - with one folder a class: the classes are numbered in the order of their names, empty ones too;
//! - flat: images in the folder itself, without labels.
//!
//! Images are sorted by their path in the folder, by bytes and with `/` in it.

use std::{
    fs::Metadata,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use fewstep_formats::{
    Image, ImageHeader, ImageLabels,
    image::{Named, named},
    image_labels::LABELS_FILE,
    read_image, read_image_header,
};

use crate::error::{Error, Result};

/// Deeper than any layout; a link that leads back up ends here.
const DEEPEST: usize = 16;

/// The names of the images in a folder.
pub(super) struct Folder {
    root: PathBuf,
    /// Sorted.
    pub(super) names: Vec<String>,
    /// Images of kinds that are not read.
    pub(super) others: Vec<String>,
    pub(super) labels: Option<ImageLabels>,
}

impl Folder {
    pub(super) fn open(root: &Path) -> Result<Self> {
        let mut found = Found::default();
        walk(root, "", 0, &mut found)?;
        let Found { mut names, mut others, mut folders } = found;
        names.sort_unstable();
        others.sort_unstable();
        folders.sort_unstable();
        let path = root.join(LABELS_FILE);
        let labels = match fs_err::read(&path) {
            Ok(json) => ImageLabels::parse(&json).map_err(|source| Error::Format { path, source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => classes(root, &names, &folders)?,
            Err(source) => return Err(Error::Read { path, source }),
        };
        Ok(Self { root: root.to_owned(), names, others, labels })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn header(&self, name: &str) -> Result<ImageHeader> {
        let path = self.path(name);
        match fs_err::File::open(&path) {
            Ok(file) => {
                read_image_header(BufReader::new(file)).map_err(|source| Error::Format { path, source })
            }
            Err(source) => Err(Error::Read { path, source }),
        }
    }

    pub(super) fn image(&self, name: &str) -> Result<Image> {
        let path = self.path(name);
        match fs_err::read(&path) {
            Ok(bytes) => read_image(&bytes).map_err(|source| Error::Format { path, source }),
            Err(source) => Err(Error::Read { path, source }),
        }
    }
}

#[derive(Default)]
struct Found {
    names: Vec<String>,
    others: Vec<String>,
    /// Directly in the root.
    folders: Vec<String>,
}

/// Adds what is below `folder`, whose name from the root on is `prefix`.
fn walk(folder: &Path, prefix: &str, depth: usize, found: &mut Found) -> Result<()> {
    let read = |source| Error::Read { path: folder.to_owned(), source };
    if depth > DEEPEST {
        return Err(Error::File {
            path: folder.to_owned(),
            expected: format!("folders nested at most {DEEPEST} deep"),
            got: "more, or a link that leads back up".to_owned(),
        });
    }
    for entry in fs_err::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            let (expected, got) = ("a name in UTF-8".to_owned(), "another".to_owned());
            return Err(Error::File { path, expected, got });
        };
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{prefix}{name}");
        // Links count as what they lead to.
        let is_folder = fs_err::metadata(&path).as_ref().is_ok_and(Metadata::is_dir);
        if is_folder {
            walk(&path, &format!("{name}/"), depth + 1, found)?;
            if depth == 0 {
                found.folders.push(name);
            }
        } else {
            match named(&name) {
                Named::Image => found.names.push(name),
                Named::OtherImage => found.others.push(name),
                Named::NoImage => {}
            }
        }
    }
    Ok(())
}

/// The labels of a folder without a file of them: none if it is flat.
fn classes(root: &Path, names: &[String], folders: &[String]) -> Result<Option<ImageLabels>> {
    let class = |name: &String| {
        let (folder, _) = name.split_once('/')?;
        folders.binary_search_by(|other| other.as_str().cmp(folder)).ok()
    };
    let of: Vec<(String, u32)> =
        names.iter().filter_map(|name| Some((name.clone(), u32::try_from(class(name)?).ok()?))).collect();
    if of.is_empty() {
        return Ok(None);
    }
    if of.len() < names.len() {
        return Err(Error::File {
            path: root.to_owned(),
            expected: format!("images in the folder itself, or in one folder a class, or a {LABELS_FILE}"),
            got: format!("{} images in it and {} below it", names.len() - of.len(), of.len()),
        });
    }
    let n_classes = u32::try_from(folders.len()).unwrap_or(u32::MAX);
    let labels = ImageLabels::new(n_classes, of);
    labels.map(Some).map_err(|source| Error::Format { path: root.to_owned(), source })
}
