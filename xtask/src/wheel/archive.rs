//! A wheel's archive: the files, and the record of their digests that pip compares them with. The same files give the same
//! bytes: the order and the times are fixed.

use std::io::{Cursor, Write};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

/// A file of a wheel.
pub(crate) struct Entry {
    /// Path in the wheel.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) executable: bool,
}

impl Entry {
    pub(crate) fn text(name: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: text.into(), executable: false }
    }
}

/// The archive of the files, `RECORD` added, where `about` is the folder of what describes the package.
pub(crate) fn archive(mut entries: Vec<Entry>, about: &str) -> Result<Vec<u8>> {
    let describes = |entry: &Entry| entry.name.starts_with(about);
    // What describes a package comes last, the specification recommends.
    entries.sort_by(|a, b| (describes(a), &a.name).cmp(&(describes(b), &b.name)));
    let name = format!("{about}/RECORD");
    let lines = entries.iter().map(|Entry { name, bytes, .. }| {
        format!("{name},sha256={},{}\n", base64(&Sha256::digest(bytes)), bytes.len())
    });
    let record = lines.chain([format!("{name},,\n")]).collect::<String>();
    entries.push(Entry::text(name, record));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for Entry { name, bytes, executable } in entries {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(if executable { 0o755 } else { 0o644 });
        zip.start_file(&name, options)
            .map_err(anyhow::Error::from)
            .and_then(|()| Ok(zip.write_all(&bytes)?))
            .with_context(|| format!("packing {name}"))?;
    }
    Ok(zip.finish()?.into_inner())
}

/// Base64 for addresses, without padding, as `RECORD` has it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |chunk: &[u8], i: usize| {
        let bits = (0..3).fold(0, |bits, k| bits << 8 | u32::from(chunk.get(k).copied().unwrap_or(0)));
        char::from(DIGITS[(bits >> (18 - 6 * i) & 63) as usize])
    };
    bytes.chunks(3).flat_map(|chunk| (0..=chunk.len()).map(move |i| digit(chunk, i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn base64_has_the_known_vectors() {
        for (plain, coded) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn the_record_lists_every_file_and_the_order_of_the_files_does_not_matter() {
        let entries = || {
            vec![
                Entry::text("p-1.dist-info/WHEEL", "w"),
                Entry { name: "p/bin/p".into(), bytes: b"program".to_vec(), executable: true },
                Entry::text("p/__init__.py", "abc"),
            ]
        };
        let bytes = archive(entries(), "p-1.dist-info").unwrap();
        let mut reversed = entries();
        reversed.reverse();
        assert_eq!(archive(reversed, "p-1.dist-info").unwrap(), bytes);

        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let names: Vec<_> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["p/__init__.py", "p/bin/p", "p-1.dist-info/WHEEL", "p-1.dist-info/RECORD"]);
        assert_eq!(zip.by_name("p/bin/p").unwrap().unix_mode().unwrap() & 0o777, 0o755);
        assert_eq!(zip.by_name("p/__init__.py").unwrap().unix_mode().unwrap() & 0o777, 0o644);
        let mut record = String::new();
        zip.by_name("p-1.dist-info/RECORD").unwrap().read_to_string(&mut record).unwrap();
        let lines: Vec<_> = record.lines().collect();
        // FIPS 180-2, "abc".
        assert_eq!(lines[0], "p/__init__.py,sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0,3");
        assert_eq!((lines.len(), lines[3]), (4, "p-1.dist-info/RECORD,,"));
    }
}
