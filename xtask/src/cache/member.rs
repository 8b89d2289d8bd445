//! One member of an archive, whatever kind of archive it is, to its place on disk.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Writes a member of `size` bytes to `to`, making its folder. `archive` is what it comes from in messages; `each` hears of
/// the bytes as they are written.
///
/// # Errors
/// The member cannot be read or has another size, or the system refuses.
pub(super) fn write_member(
    member: &mut impl Read,
    size: u64,
    to: &Path,
    archive: &str,
    each: impl FnMut(u64),
) -> Result<File> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut file = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    let copied = copy(member, &mut file, each)
        .with_context(|| format!("cannot unpack {} from {archive}", to.display()))?;
    ensure!(copied == size, "{archive}: {copied} of {size} bytes of {}", to.display());
    Ok(file)
}

pub(super) fn copy(from: &mut impl Read, to: &mut impl Write, mut each: impl FnMut(u64)) -> io::Result<u64> {
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
