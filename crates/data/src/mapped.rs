//! Files as memory: the pages of a mapped file come when they are read and go when memory is needed.

use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Maps a file to be read.
///
/// # Errors
/// [`Error::Read`] when the system refuses.
#[allow(unsafe_code)] // a map cannot be made without
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let file = fs_err::File::open(path).map_err(failed)?;
    // SAFETY: the map is private to this process and is only read, as bytes, of which every value is valid; what is read
    // is checked against its checksum each time. Left to the user: a file that is cut short while it is mapped ends the
    // program by a signal, as for any program that maps files.
    unsafe { Mmap::map(file.file()) }.map_err(failed)
}
