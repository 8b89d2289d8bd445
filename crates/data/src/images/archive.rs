//! The files in a zip archive. [`layout`](super::layout) finds the images and classes among them.

use std::path::{Path, PathBuf};

use fewstep_formats::{Image, ImageHeader, ImageLabels, ImageZip, Limits, image_kind::BEGINNING};
use memmap2::Mmap;

use super::layout::{Tree, display_name, is_ignored};
use crate::{
    error::{Error, Result},
    mapped::map,
};

/// The files in an archive.
pub(super) struct Archive {
    root: PathBuf,
    zip: ImageZip<Mmap>,
    /// Paths of the files, sorted.
    paths: Vec<Vec<u8>>,
    /// Number of each file in the archive, in the order of `paths`.
    numbers: Vec<usize>,
}

impl Archive {
    pub(super) fn open(root: &Path, limits: Limits) -> Result<Self> {
        let zip = ImageZip::open_within(map(root)?, limits);
        let zip = zip.map_err(|source| Error::of_format(root.to_owned(), source))?;
        let file = |number| {
            let path = path(zip.name(number)?);
            (!path.split(|&byte| byte == b'/').any(is_ignored)).then_some((path, number))
        };
        let mut files: Vec<(Vec<u8>, usize)> = (0..zip.len()).filter_map(file).collect();
        files.sort_unstable();
        let (paths, numbers) = files.into_iter().unzip();
        Ok(Self { root: root.to_owned(), zip, paths, numbers })
    }

    fn in_file<T>(&self, file: usize, result: fewstep_formats::Result<T>) -> Result<T> {
        result.map_err(|source| Error::of_format(self.root.join(&*display_name(&self.paths[file])), source))
    }
}

/// The path of an entry, with `/` as separator: programs for Windows may write backslashes.
fn path(name: &str) -> Vec<u8> {
    let name = if name.contains('/') { name.to_owned() } else { name.replace('\\', "/") };
    name.trim_start_matches("./").as_bytes().to_vec()
}

impl Tree for Archive {
    fn paths(&self) -> &[Vec<u8>] {
        &self.paths
    }

    fn beginning(&self, file: usize) -> Option<Vec<u8>> {
        self.zip.beginning(self.numbers[file], BEGINNING).ok().map(|start| start.into_owned())
    }

    fn labels(&self, file: usize) -> Result<Option<ImageLabels>> {
        self.in_file(file, self.zip.labels(self.numbers[file]))
    }

    fn header(&self, file: usize) -> Result<ImageHeader> {
        self.in_file(file, self.zip.header(self.numbers[file]))
    }

    fn image(&self, file: usize) -> Result<Image> {
        self.in_file(file, self.zip.read(self.numbers[file]))
    }
}
