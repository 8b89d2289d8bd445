//! zip archives: the `zip` crate reads the directory, and this module checks the directory's claims before it unpacks
//! anything.
//!
//! The crate allocates no more than the file has room for. Its consistency check finds entries that share bytes or names,
//! and local headers that differ from the directory. It accepts archives with other data before or after them, which other
//! readers may interpret differently; this module refuses those. Stored entries are slices of the file. Deflated entries
//! are unpacked to at most the size they claim, if deflate can reach that size and the caller's limit allows it.
//!
//! There are two ways to open an archive. A model ([`Archive::open`]) may unpack to a multiple of its size, and all its
//! entries must be stored or deflated. In a collection ([`Archive::directory`]) each entry is bounded when it is read, and an
//! entry with another compression is an error only for itself.

use std::{borrow::Cow, io, ops::Range};

use flate2::{Crc, Decompress, FlushDecompress, Status};
use zip::{CompressionMethod, ZipArchive, result::ZipResult};

use crate::{
    error::{Error, Format, Result, escaped, escaped_name},
    gzip::MAX_RATIO,
};

/// Any model may unpack to this many bytes: small archives of zeros are packed a thousand to one.
const UNPACKED_FLOOR: u64 = 4 << 20;
/// A larger model may unpack to this multiple of its size.
const UNPACKED_TIMES: u64 = 8;

/// Whether the bytes begin like an archive with entries.
pub(crate) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// An archive whose directory has been checked: all entries are inside the file and do not overlap.
pub(crate) struct Archive<'a> {
    format: Format,
    bytes: &'a [u8],
    /// Sorted by name. Only names that are not UTF-8 can occur twice.
    entries: Vec<(String, Entry)>,
    /// Claimed size of all entries, unpacked.
    pub(crate) unpacked_len: u64,
}

/// An entry, as described by the directory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    packing: Packing,
    /// Position of the packed bytes in the file.
    packed: Range<usize>,
    /// Size of the contents; for a deflated entry only a claim.
    unpacked_len: u64,
    crc: u32,
}

#[derive(Clone, Debug)]
enum Packing {
    Stored,
    Deflated,
    /// Encryption or a compression that is not supported, for messages.
    Other(String),
}

impl<'a> Archive<'a> {
    /// Opens the archive of a model.
    pub(crate) fn open(format: Format, bytes: &'a [u8]) -> Result<Self> {
        let archive = Self::directory(format, bytes)?;
        for (name, entry) in &archive.entries {
            entry.packing.check(format, name)?;
        }
        let limit = UNPACKED_FLOOR.max(UNPACKED_TIMES.saturating_mul(bytes.len() as u64));
        if archive.unpacked_len > limit {
            return Err(Error::Unfolds { format, limit });
        }
        Ok(archive)
    }

    /// Opens a collection of files, each of which is bounded when it is read.
    pub(crate) fn directory(format: Format, bytes: &'a [u8]) -> Result<Self> {
        let mut zip = directory(bytes).map_err(|error| damaged(format, error.to_string()))?;
        if zip.offset() != 0 || !ends_with_directory(bytes, zip.comment()) {
            return Err(damaged(format, "one before or behind other data".to_owned()));
        }
        let mut archive = Self { format, bytes, entries: Vec::with_capacity(zip.len()), unpacked_len: 0 };
        for i in 0..zip.len() {
            let (name, entry) = entry(format, bytes.len(), &mut zip, i)?;
            archive.unpacked_len = archive.unpacked_len.saturating_add(entry.unpacked_len);
            archive.entries.push((name, entry));
        }
        archive.entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(archive)
    }

    /// The entries' names, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// The entries, sorted by name. Their positions refer to the bytes that the archive was opened on.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (String, Entry)> {
        self.entries.into_iter()
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
        self.entries.get(at).map(|(_, entry)| entry)
    }

    /// The contents of an entry, checked against its checksum; `None` if there is no such entry. The size of a model's
    /// entries was bounded when it was opened.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Cow<'a, [u8]>>> {
        self.entry(name).map(|entry| entry.read(self.format, name, self.bytes, u64::MAX)).transpose()
    }
}

impl Packing {
    fn check(&self, format: Format, name: &str) -> Result<()> {
        match self {
            Self::Stored | Self::Deflated => Ok(()),
            Self::Other(other) => Err(wrong(format, name, "a stored or deflated entry", other.as_str())),
        }
    }
}

impl Entry {
    /// Bytes of the contents; for a deflated entry only a claim.
    pub(crate) fn unpacked_len(&self) -> u64 {
        self.unpacked_len
    }

    /// The contents, checked against the checksum. `file` is the archive's bytes; a deflated entry may unpack to `most`
    /// bytes.
    pub(crate) fn read<'a>(
        &self,
        format: Format,
        name: &str,
        file: &'a [u8],
        most: u64,
    ) -> Result<Cow<'a, [u8]>> {
        let packed = self.packed(format, name, file)?;
        let contents = match self.packing {
            Packing::Stored => Cow::Borrowed(packed),
            _ if self.unpacked_len > most => {
                let (part, needed) = (format!("`{}`", escaped_name(name)), self.unpacked_len);
                return Err(Error::OverLimit { format, part, needed, limit: most });
            }
            _ => Cow::Owned(self.inflate(format, name, packed)?),
        };
        let mut crc = Crc::new();
        crc.update(&contents);
        if crc.sum() != self.crc {
            let got = format!("{:#010x}", crc.sum());
            return Err(wrong(format, name, &format!("checksum {:#010x}", self.crc), got));
        }
        Ok(contents)
    }

    /// The first `most` bytes of the contents. The checksum covers the whole contents, so it is not checked.
    pub(crate) fn beginning<'a>(
        &self,
        format: Format,
        name: &str,
        file: &'a [u8],
        most: usize,
    ) -> Result<Cow<'a, [u8]>> {
        let packed = self.packed(format, name, file)?;
        if matches!(self.packing, Packing::Stored) {
            return Ok(Cow::Borrowed(&packed[..packed.len().min(most)]));
        }
        let mut out = Vec::with_capacity(most);
        let status = Decompress::new(false).decompress_vec(packed, &mut out, FlushDecompress::None);
        status.map_err(|_| wrong(format, name, "a deflate stream", "a damaged one"))?;
        Ok(Cow::Owned(out))
    }

    /// The contents of a stored entry, without checking the checksum; `None` if the entry is packed. For callers that need
    /// only the beginning.
    pub(crate) fn stored<'a>(&self, format: Format, name: &str, file: &'a [u8]) -> Result<Option<&'a [u8]>> {
        let packed = self.packed(format, name, file)?;
        Ok(matches!(self.packing, Packing::Stored).then_some(packed))
    }

    /// The packed bytes. A mapped file may have changed since it was opened, so the range is checked again.
    fn packed<'a>(&self, format: Format, name: &str, file: &'a [u8]) -> Result<&'a [u8]> {
        self.packing.check(format, name)?;
        file.get(self.packed.clone())
            .ok_or_else(|| wrong(format, name, "the file that was opened", "a shorter one"))
    }

    fn inflate(&self, format: Format, name: &str, packed: &[u8]) -> Result<Vec<u8>> {
        let len = self.unpacked_len;
        if len > (packed.len() as u64).saturating_mul(MAX_RATIO) {
            let expected = format!("at most {MAX_RATIO} times its {} packed bytes", packed.len());
            return Err(wrong(format, name, &expected, len.to_string()));
        }
        let mut out = Vec::with_capacity(len as usize + 1);
        let mut stream = Decompress::new(false);
        let status = stream.decompress_vec(packed, &mut out, FlushDecompress::Finish);
        let whole = matches!(status, Ok(Status::StreamEnd));
        if !whole || stream.total_in() != packed.len() as u64 || out.len() as u64 != len {
            let expected = format!("a deflate stream of {len} bytes");
            return Err(wrong(format, name, &expected, "a damaged one, or one of another length"));
        }
        Ok(out)
    }
}

type Directory<'a> = ZipArchive<io::Cursor<&'a [u8]>>;

fn directory(bytes: &[u8]) -> ZipResult<Directory<'_>> {
    let mut zip = ZipArchive::new(io::Cursor::new(bytes))?;
    zip.validate_header_consistency()?;
    Ok(zip)
}

/// Whether the directory's end record with its comment is the end of the file.
fn ends_with_directory(bytes: &[u8], comment: &[u8]) -> bool {
    const END_LEN: usize = 22;
    let record = bytes.strip_suffix(comment).and_then(|bytes| bytes.last_chunk::<END_LEN>());
    record.is_some_and(|record| record.starts_with(b"PK\x05\x06"))
}

fn entry<'a>(format: Format, file_len: usize, zip: &mut Directory<'a>, i: usize) -> Result<(String, Entry)> {
    let file = zip.by_index_raw(i).map_err(|error| damaged(format, error.to_string()))?;
    let name = match str::from_utf8(file.name_raw()) {
        Ok(name) => Cow::Borrowed(name),
        Err(_) if format == Format::ImageZip => {
            Cow::Owned(foreign(file.name_raw(), file.name().ok().as_deref()))
        }
        Err(_) => return Err(damaged(format, escaped(file.name_raw()))),
    };
    let (packed_len, unpacked_len) = (file.compressed_size(), file.size());
    let start = file.data_start().unwrap_or(u64::MAX);
    let span = || Some(usize::try_from(start).ok()?..usize::try_from(start.checked_add(packed_len)?).ok()?);
    let packed = span().filter(|span| span.end <= file_len).ok_or_else(|| Error::PastEnd {
        format,
        offset: start,
        what: format!("entry `{}`", escaped_name(&name)),
        claimed: packed_len,
        left: (file_len as u64).saturating_sub(start),
    })?;
    let packing = match file.compression() {
        _ if file.encrypted() => Packing::Other("an encrypted one".to_owned()),
        CompressionMethod::Stored if packed_len == unpacked_len => Packing::Stored,
        CompressionMethod::Stored => {
            let got = format!("{packed_len} and {unpacked_len}");
            return Err(wrong(format, &name, "one size, as it is stored", got));
        }
        CompressionMethod::Deflated => Packing::Deflated,
        other => Packing::Other(other.to_string()),
    };
    Ok((name.into_owned(), Entry { packing, packed, unpacked_len, crc: file.crc32() }))
}

/// A name that is not UTF-8. Names are in code page 437 unless the archive declares UTF-8. A name that is declared as UTF-8
/// but is not gets its bytes escaped. Different bytes give different names in both cases.
fn foreign(raw: &[u8], by_code_page: Option<&str>) -> String {
    match by_code_page {
        Some(name) if !name.contains(char::REPLACEMENT_CHARACTER) => name.to_owned(),
        _ => raw.escape_ascii().to_string(),
    }
}

fn damaged(format: Format, got: String) -> Error {
    wrong(format, "(the archive)", "a zip archive and nothing else", got)
}

/// The error for an entry.
pub(crate) fn wrong(format: Format, entry: &str, expected: &str, got: impl Into<String>) -> Error {
    Error::Part { format, part: escaped_name(entry), expected: expected.to_owned(), got: got.into() }
}
