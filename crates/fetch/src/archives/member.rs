//! One member of an archive, whatever kind of archive it is, to its place on disk.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::error::{Error, Result, cannot, damaged};

/// Writes a member of `size` bytes to `to`, making its folder. `archive` is what it comes from in messages; `each` hears of
/// the bytes as they are written.
///
/// # Errors
/// The member cannot be read or has another size, or the system refuses.
pub(crate) fn write_member(
    member: &mut impl Read,
    size: u64,
    to: &Path,
    archive: &str,
    each: impl FnMut(u64),
) -> Result<File> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(cannot("make", folder))?;
    }
    let mut file = File::create(to).map_err(cannot("write", to))?;
    let what = format!("cannot unpack {} from {archive}", to.display());
    let got = copy(member, &mut file, each).map_err(damaged(what))?;
    match got == size {
        true => Ok(file),
        false => Err(Error::Size { archive: archive.to_owned(), path: to.to_owned(), expected: size, got }),
    }
}

pub(crate) fn copy(from: &mut impl Read, to: &mut impl Write, mut each: impl FnMut(u64)) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 20];
    let mut copied = 0;
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            return Ok(copied);
        }
        to.write_all(&buffer[..n])?;
        copied += n as u64;
        each(n as u64);
    }
}
