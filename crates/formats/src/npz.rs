//! npz, numpy's archives of arrays: a zip archive with one npy file per array, stored or deflated.
//!
//! [`read_npz`] is for models: it reads all arrays, whose total size may be a multiple of the file's. [`NpzArrays`] is for
//! images: it reads single arrays, with any compression ratio, up to a limit.

use std::io;

use crate::{
    allowance::Allowance,
    archive::{Archive, wrong},
    error::{Error, Format, Result},
    npy,
    quiet_zip::QuietZip,
    tensor::{Checkpoint, DType, NamedArray, byte_len},
    value::Value,
};

const KIND: Format = Format::Npz;
const SUFFIX: &str = ".npy";

/// Reads all arrays of an archive, sorted by name. Unpacked, they may take six times the file's size and 2 MiB.
///
/// # Errors
/// [`Error::Part`] for a malformed archive and for entries that are not npy files, [`Error::Unfolds`] for arrays over the
/// limit.
pub fn read_npz(bytes: &[u8]) -> Result<Checkpoint> {
    let archive = Archive::open(KIND, bytes)?;
    let mut allowance = Allowance::new(KIND, bytes.len() as u64);
    allowance.spend(archive.unpacked_len)?;
    let mut arrays = Vec::new();
    for entry in archive.names() {
        let name = entry.strip_suffix(SUFFIX);
        let name = name.ok_or_else(|| wrong(KIND, entry, "an npy file", "a file of another name"))?;
        let file = archive.read(entry)?.unwrap_or_default();
        let array = npy::parse(KIND, name, file, &mut allowance).map_err(|error| in_entry(entry, error))?;
        allowance.spend(NamedArray::memory(0, name, &array.shape))?;
        arrays.push(array);
    }
    Ok(Checkpoint { kind: KIND, class_name: None, arrays, options: Value::Null })
}

/// The arrays of an archive, each unpacked when it is read, with one limit for all of them.
///
/// Other entries of the archive are ignored. An array is unpacked only after its own header has been read, whose size must
/// match the archive's directory. So a hostile file takes no more memory than the limit, or than its own size.
pub struct NpzArrays<'a> {
    bytes: &'a [u8],
    archive: Archive<'a>,
    allowance: Allowance,
}

impl<'a> NpzArrays<'a> {
    /// Reads the directory. The arrays together may take `limit` bytes, or the size of the archive if that is more.
    ///
    /// # Errors
    /// [`Error::Part`] for a malformed archive.
    pub fn open(bytes: &'a [u8], limit: u64) -> Result<Self> {
        let allowance = Allowance::set(KIND, limit.max(bytes.len() as u64));
        Ok(Self { bytes, archive: Archive::directory(KIND, bytes)?, allowance })
    }

    /// The names of the arrays, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.archive.names().filter_map(|entry| entry.strip_suffix(SUFFIX))
    }

    /// Reads the array with this name; `None` if there is no such array.
    ///
    /// # Errors
    /// [`Error::OverLimit`] if the array exceeds the rest of the limit, before anything is unpacked; [`Error::Part`] for a
    /// damaged entry, or an entry that is not an npy file.
    pub fn read(&mut self, name: &str) -> Result<Option<NamedArray>> {
        let entry_name = format!("{name}{SUFFIX}");
        let Some(entry) = self.archive.entry(&entry_name) else { return Ok(None) };
        let of_entry = |error| in_entry(&entry_name, error);
        let beginning = entry.beginning(KIND, &entry_name, self.bytes, npy::LONGEST_HEAD)?;
        let (whole, there) =
            (npy::Head::parse(KIND, &beginning).map_err(of_entry)?.whole, entry.unpacked_len());
        if whole > there {
            return Err(of_entry(Error::Truncated { format: KIND, expected: whole, got: there }));
        }
        if whole < there {
            return Err(of_entry(Error::Excess { format: KIND, expected: whole }));
        }
        let allowance = &mut self.allowance;
        allowance.spend(whole).map_err(|error| of_array(name, error))?;
        let file = entry.read(KIND, &entry_name, self.bytes, whole)?;
        let array =
            npy::parse(KIND, name, file, allowance).map_err(|error| of_array(name, of_entry(error)))?;
        Ok(Some(array))
    }
}

fn in_entry(entry: &str, error: Error) -> Error {
    match error {
        known @ (Error::Part { .. } | Error::Unfolds { .. } | Error::OverLimit { .. }) => known,
        other => wrong(KIND, entry, "an npy file", format!("a wrong one: {other}")),
    }
}

/// Adds the name of the array to the error of the limit.
fn of_array(name: &str, error: Error) -> Error {
    match error {
        Error::OverLimit { format, needed, limit, .. } => Error::OverLimit {
            format,
            part: format!("`{}`", crate::error::escaped_name(name)),
            needed,
            limit,
        },
        other => other,
    }
}

/// Writes arrays like numpy's `savez`: stored, and deterministic.
///
/// # Errors
/// Those of [`write_npy`](crate::write_npy); also for two arrays with one name.
pub fn write_npz<'a>(
    arrays: impl IntoIterator<Item = &'a NamedArray>,
    out: impl io::Write + io::Seek,
) -> io::Result<()> {
    let mut archive = NpzWriter::new(out);
    for array in arrays {
        archive.add(&array.name, array.dtype, &array.shape, array.data.as_slice())?;
    }
    archive.finish().map(drop)
}

/// Writes an archive array by array, for arrays that are not in memory.
pub struct NpzWriter<W: io::Write + io::Seek> {
    zip: QuietZip<W>,
}

impl<W: io::Write + io::Seek> NpzWriter<W> {
    /// An archive without arrays.
    pub fn new(out: W) -> Self {
        Self { zip: QuietZip::new(out) }
    }

    /// Adds an array with the elements in `data`, little-endian in row-major order.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if the number of bytes does not match `shape`, or numpy does not have the element type
    /// (`BF16`); an error if the name already exists; the errors of `data` and `out`.
    pub fn add(
        &mut self,
        name: &str,
        dtype: DType,
        shape: &[usize],
        mut data: impl io::Read,
    ) -> io::Result<()> {
        let invalid = |got: String| io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}`: {got}"));
        let header = npy::header(name, dtype, shape)?;
        let len = byte_len(dtype, shape).ok_or_else(|| invalid(format!("too large: {shape:?}")))? as u64;
        let entry_len = len.saturating_add(header.len() as u64);
        self.zip.start(&format!("{name}{SUFFIX}"), entry_len)?;
        io::Write::write_all(&mut self.zip, &header)?;
        let written = io::copy(&mut data, &mut self.zip)?;
        if written != len {
            return Err(invalid(format!("{written} bytes for the shape {shape:?}, expected {len}")));
        }
        Ok(())
    }

    /// Returns `out` with the complete archive.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(self) -> io::Result<W> {
        self.zip.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_round_trip() {
        let mu = NamedArray::from_f64("mu", &[2], &[1., 2.]).unwrap();
        let sigma = NamedArray::from_f64("sigma", &[2, 2], &[1., 0.5, 0.5, 2.]).unwrap();
        let mut bytes = io::Cursor::new(Vec::new());
        write_npz([&mu, &sigma], &mut bytes).unwrap();
        let mut again = io::Cursor::new(Vec::new());
        write_npz([&mu, &sigma], &mut again).unwrap();
        assert_eq!(bytes, again);
        let read = read_npz(bytes.get_ref()).unwrap();
        assert_eq!(read.arrays, [mu.clone(), sigma]);
        assert!(write_npz([&mu, &mu], io::Cursor::new(Vec::new())).is_err());
        for bytes in [&[1; 5][..], &[1; 7]] {
            let mut writer = NpzWriter::new(io::Cursor::new(Vec::new()));
            let error = writer.add("x", DType::U8, &[2, 3], bytes).unwrap_err();
            assert!(error.to_string().contains("expected 6"), "{error}");
        }
    }
}
