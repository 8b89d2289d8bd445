//! The files in and below a folder. [`layout`](super::layout) finds the images and classes among them.

use std::{
    fs::{File, FileType},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use fewstep_formats::{
    Image, ImageHeader, ImageLabels, Limits, image_kind::BEGINNING, read_image_header_within,
    read_image_within,
};

use super::{
    OnBad, Skipped,
    layout::{Tree, display_name, is_ignored},
};
use crate::error::{Error, Result};

/// Limit on nested folders: deeper than any layout, and it ends the walk of a link that leads back up.
const DEEPEST: usize = 16;

/// The files in and below a folder.
pub(super) struct Folder {
    root: PathBuf,
    /// Paths of the files, sorted.
    paths: Vec<Vec<u8>>,
    limits: Limits,
}

impl Folder {
    /// The files, and with [`OnBad::Skip`] the folders that cannot be read, which are otherwise errors.
    pub(super) fn open(root: &Path, on_bad: OnBad, limits: Limits) -> Result<(Self, Vec<Skipped>)> {
        let mut walk = Walk { on_bad, paths: Vec::new(), unread: Vec::new() };
        walk.add(root, b"", 0)?;
        let Walk { mut paths, unread, .. } = walk;
        paths.sort_unstable();
        Ok((Self { root: root.to_owned(), paths, limits }, unread))
    }

    fn path(&self, file: usize) -> PathBuf {
        self.root.join(path_of(&self.paths[file]))
    }

    fn read<T>(&self, file: usize, parse: impl Fn(&[u8]) -> fewstep_formats::Result<T>) -> Result<T> {
        let path = self.path(file);
        match fs_err::read(&path) {
            Ok(bytes) => parse(&bytes).map_err(|source| Error::of_format(path, source)),
            Err(source) => Err(Error::Read { path, source }),
        }
    }
}

impl Tree for Folder {
    fn paths(&self) -> &[Vec<u8>] {
        &self.paths
    }

    fn beginning(&self, file: usize) -> Option<Vec<u8>> {
        let mut start = Vec::with_capacity(BEGINNING);
        File::open(self.path(file)).ok()?.take(BEGINNING as u64).read_to_end(&mut start).ok()?;
        Some(start)
    }

    fn labels(&self, file: usize) -> Result<Option<ImageLabels>> {
        self.read(file, ImageLabels::parse)
    }

    fn header(&self, file: usize) -> Result<ImageHeader> {
        let path = self.path(file);
        match fs_err::File::open(&path) {
            Ok(open) => read_image_header_within(BufReader::new(open), self.limits.image)
                .map_err(|source| Error::of_format(path, source)),
            Err(source) => Err(Error::Read { path, source }),
        }
    }

    fn image(&self, file: usize) -> Result<Image> {
        self.read(file, |bytes| read_image_within(bytes, self.limits.image))
    }
}

struct Walk {
    on_bad: OnBad,
    paths: Vec<Vec<u8>>,
    unread: Vec<Skipped>,
}

impl Walk {
    /// Adds the files in and below `folder`, whose path relative to the root is `prefix`.
    fn add(&mut self, folder: &Path, prefix: &[u8], depth: usize) -> Result<()> {
        if depth > DEEPEST {
            return Err(Error::File {
                path: folder.to_owned(),
                expected: format!("folders nested at most {DEEPEST} deep"),
                got: "more, or a link that leads back up".to_owned(),
            });
        }
        let entries = fs_err::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) if depth > 0 && self.on_bad == OnBad::Skip => {
                let name = display_name(prefix).into_owned();
                self.unread.push(Skipped { name, reason: error.to_string() });
                return Ok(());
            }
            Err(source) => return Err(Error::Read { path: folder.to_owned(), source }),
        };
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.as_encoded_bytes();
            if is_ignored(name) {
                continue;
            }
            let name = [prefix, name].concat();
            // Links are followed; a broken link counts as a file that cannot be read.
            let of_link = || fs_err::metadata(&path).map(|metadata| metadata.file_type());
            let kind =
                entry.file_type().and_then(|kind| if kind.is_symlink() { of_link() } else { Ok(kind) });
            match kind {
                Ok(kind) if kind.is_dir() => self.add(&path, &[&name, &b"/"[..]].concat(), depth + 1)?,
                Ok(kind) if !is_file(kind) => {}
                _ => self.paths.push(name),
            }
        }
        Ok(())
    }
}

/// Excludes pipes and devices: they hold no images, and opening one may block forever.
fn is_file(kind: FileType) -> bool {
    kind.is_file()
}

/// The path with these bytes.
#[cfg(unix)]
fn path_of(bytes: &[u8]) -> &Path {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    Path::new(OsStr::from_bytes(bytes))
}

/// The path with these bytes. A name that is not Unicode is converted with losses, so its file is reported as missing.
#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}
