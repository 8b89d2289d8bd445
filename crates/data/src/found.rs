//! Finds the files of published data sets by name.
//!
//! Some browsers and data portals unpack each file into a folder with the file's name, so a folder with the name of a
//! file is searched too.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Finds the first file with one of these names in `folder`, or in a subfolder with one of these names. Returns its path
/// and contents.
///
/// # Errors
/// [`Error::Read`] for a file that exists but cannot be read.
pub(crate) fn find(folder: &Path, names: &[String]) -> Result<Option<(PathBuf, Vec<u8>)>> {
    let mut folders = Vec::new();
    for name in names {
        let path = folder.join(name);
        match read(&path)? {
            Found::File(bytes) => return Ok(Some((path, bytes))),
            Found::Folder => folders.push(path),
            Found::Nothing => {}
        }
    }
    for path in folders.into_iter().flat_map(|folder| names.iter().map(move |name| folder.join(name))) {
        if let Found::File(bytes) = read(&path)? {
            return Ok(Some((path, bytes)));
        }
    }
    Ok(None)
}

enum Found {
    File(Vec<u8>),
    Folder,
    Nothing,
}

fn read(path: &Path) -> Result<Found> {
    match fs_err::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(Found::Folder),
        Ok(_) => match fs_err::read(path) {
            Ok(bytes) => Ok(Found::File(bytes)),
            Err(source) => Err(Error::Read { path: path.to_owned(), source }),
        },
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Found::Nothing)
        }
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}
