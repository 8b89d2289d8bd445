//! Memory-mapped files: the system loads pages when they are read and drops them when memory is needed.

use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Maps a file for reading.
///
/// # Errors
/// [`Error::Read`] if the system fails.
#[allow(unsafe_code)] // there is no safe way to map a file
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let file = fs_err::File::open(path).map_err(failed)?;
    // SAFETY: the map is private to this process and is only read, as bytes, for which every value is valid; the data are
    // checked against their checksum on every read. One case is left to the user: truncating the file while it is mapped
    // ends the program with a signal, as in any program that maps files.
    unsafe { Mmap::map(file.file()) }.map_err(failed)
}
