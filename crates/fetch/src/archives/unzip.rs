//! Taking the wanted members out of a zip archive. Every member is checked against its size and CRC-32 as it is read.

use std::fs::{self, File};
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use super::member::write_member;
use crate::error::{Error, Result, cannot, damaged};
use crate::listener::Listener;

/// Unpacks into the folder `into` those members for which `place` answers with a path, which is taken as relative to
/// it.
///
/// # Errors
/// The file is not a whole zip archive, a member is damaged or wants to leave the folder, or no member was wanted.
pub fn unpack(
    archive: &Path,
    into: &Path,
    place: impl Fn(&Path) -> Option<PathBuf>,
    listener: &dyn Listener,
) -> Result<()> {
    let failed = || damaged::<ZipError>(format!("cannot unpack {}", archive.display()));
    let mut zip = open(archive)?;
    let mut wanted = Vec::new();
    let mut total = 0;
    for index in 0..zip.len() {
        let member = zip.by_index_raw(index).map_err(failed())?;
        if member.is_dir() {
            continue;
        }
        // None for names that climb out of the folder.
        let Some(name) = member.enclosed_name() else {
            let name = String::from_utf8_lossy(member.name_raw());
            return Err(Error::Outside { archive: archive.display().to_string(), member: name.into_owned() });
        };
        if let Some(to) = place(&name) {
            total += member.size();
            wanted.push((index, into.join(to)));
        }
    }
    if wanted.is_empty() {
        return Err(Error::Nothing { archive: archive.display().to_string() });
    }

    let name = archive.file_name().unwrap_or_default().display().to_string();
    let mut progress = listener.transfer(&format!("unpacking {name}"), Some(total));
    let mut done = 0;
    for (index, to) in wanted {
        let mut member = zip.by_index(index).map_err(failed())?;
        let size = member.size();
        let file = write_member(&mut member, size, &to, &archive.display().to_string(), |n| {
            done += n;
            progress.at(done);
        })?;
        if let Some(mode) = member.unix_mode() {
            let mode = fs::Permissions::from_mode(mode & 0o777 | 0o600);
            file.set_permissions(mode).map_err(cannot("set the permissions of", &to))?;
        }
    }
    progress.finish(done);
    Ok(())
}

/// Whether the file is there to its end: the list of a zip archive's members is the last thing in it.
#[must_use]
pub fn is_whole(archive: &Path) -> bool {
    open(archive).is_ok()
}

fn open(archive: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let file = File::open(archive).map_err(cannot("open", archive))?;
    ZipArchive::new(BufReader::new(file))
        .map_err(damaged::<ZipError>(format!("{} is not a whole zip archive", archive.display())))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::listener::Silent;
    use crate::staging::Staging;

    fn archive(at: &Path, members: &[(&str, &[u8])]) {
        let mut zip = ZipWriter::new(File::create(at).unwrap());
        for (name, bytes) in members {
            zip.start_file(*name, SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
    }

    fn all(name: &Path) -> Option<PathBuf> {
        Some(name.to_path_buf())
    }

    /// Bytes that do not repeat, so that a change in the packed form is a change in the contents.
    fn noise() -> Vec<u8> {
        (0..50_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    #[test]
    fn wanted_members_arrive_where_they_are_placed() {
        let folder = tempfile::tempdir().unwrap();
        let zip = folder.path().join("a.zip");
        archive(&zip, &[("torch/lib/libc10.so", &noise()), ("torch/other.py", b"no")]);
        let into = folder.path().join("into");
        unpack(
            &zip,
            &into,
            |name| name.strip_prefix("torch").ok()?.starts_with("lib").then(|| "x/y".into()),
            &Silent,
        )
        .unwrap();
        assert_eq!(fs::read(into.join("x/y")).unwrap(), noise());
        assert_eq!(fs::metadata(into.join("x/y")).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
        assert!(unpack(&zip, &into, |_| None, &Silent).is_err());
    }

    #[test]
    fn a_truncated_archive_is_seen_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let zip = folder.path().join("a.zip");
        archive(&zip, &[("a", &noise())]);
        assert!(is_whole(&zip));
        let bytes = fs::read(&zip).unwrap();
        fs::write(&zip, &bytes[..bytes.len() - 30]).unwrap();
        assert!(!is_whole(&zip));
        assert!(!is_whole(&folder.path().join("absent")));
    }

    #[test]
    fn a_damaged_member_fails_and_its_staging_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let zip = folder.path().join("a.zip");
        archive(&zip, &[("first", b"whole"), ("second", &noise())]);
        let mut bytes = fs::read(&zip).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&zip, bytes).unwrap();
        assert!(is_whole(&zip), "the list of members is not what was damaged");

        let target = folder.path().join("cache/libtorch");
        let staging = Staging::new(&target).unwrap();
        let error = format!("{}", unpack(&zip, staging.path(), all, &Silent).unwrap_err());
        assert!(error.contains("second"), "{error}");
        drop(staging);
        assert_eq!(fs::read_dir(folder.path().join("cache")).unwrap().count(), 0);
    }

    #[test]
    fn a_member_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let zip = folder.path().join("a.zip");
        archive(&zip, &[("../outside", b"x")]);
        let into = folder.path().join("into");
        let error = unpack(&zip, &into, all, &Silent).unwrap_err().to_string();
        assert!(error.contains("../outside"), "{error}");
        assert!(!folder.path().join("outside").exists());
    }
}
