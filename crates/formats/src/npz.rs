//! npz, numpy's archives of arrays: a zip archive with an npy file an array, stored or deflated.

use std::io;

use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use crate::{
    allowance::Allowance,
    archive::{Archive, wrong},
    error::{Error, Format, Result},
    npy,
    tensor::{Checkpoint, DType, NamedArray, byte_len},
    value::Value,
};

const SUFFIX: &str = ".npy";

/// The arrays of an archive, sorted by name. They may be six times the file and 2 MiB, unpacked.
///
/// # Errors
/// What an archive and its npy files can be wrong in: an entry that is no npy file is an [`Error::Part`], and arrays
/// that are more than they may be are an [`Error::Unfolds`].
pub fn read_npz(bytes: &[u8]) -> Result<Checkpoint> {
    let kind = Format::Npz;
    let archive = Archive::open(kind, bytes)?;
    let mut allowance = Allowance::new(kind, bytes.len() as u64);
    allowance.spend(archive.unpacked_len)?;
    let mut arrays = Vec::new();
    for entry in archive.names() {
        let name = entry.strip_suffix(SUFFIX);
        let name = name.ok_or_else(|| wrong(kind, entry, "an npy file", "a file of another name"))?;
        let file = archive.read(entry)?.unwrap_or_default();
        let array = npy::parse(kind, name, file, &mut allowance).map_err(|error| match error {
            known @ (Error::Part { .. } | Error::Unfolds { .. }) => known,
            other => wrong(kind, entry, "an npy file", format!("a wrong one: {other}")),
        })?;
        allowance.spend(NamedArray::memory(0, name, &array.shape))?;
        arrays.push(array);
    }
    Ok(Checkpoint { kind, class_name: None, arrays, options: Value::Null })
}

/// Writes arrays as numpy's `savez` would: stored, and the same bytes whenever the arrays are the same.
///
/// # Errors
/// As for [`write_npy`](crate::write_npy); also for two arrays of one name.
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

/// Writes an archive array by array, for arrays that do not lie in memory.
pub struct NpzWriter<W: io::Write + io::Seek> {
    zip: ZipWriter<W>,
}

impl<W: io::Write + io::Seek> NpzWriter<W> {
    /// An archive without arrays.
    pub fn new(out: W) -> Self {
        Self { zip: ZipWriter::new(out) }
    }

    /// Adds an array, whose elements are all that `data` gives.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when they are not as many bytes as `shape` asks for, for elements that numpy has no
    /// type for (`BF16`) and for a name that is there already; what `data` and `out` fail with.
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
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .large_file(len.saturating_add(header.len() as u64) >= u64::from(u32::MAX));
        self.zip.start_file(format!("{name}{SUFFIX}"), options)?;
        io::Write::write_all(&mut self.zip, &header)?;
        let written = io::copy(&mut data, &mut self.zip)?;
        if written != len {
            return Err(invalid(format!("{written} bytes for the shape {shape:?}, expected {len}")));
        }
        Ok(())
    }

    /// Gives back `out` with the whole archive.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn finish(self) -> io::Result<W> {
        Ok(self.zip.finish()?)
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
