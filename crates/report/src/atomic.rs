//! Atomic writes: a file is written under a temporary name in the same folder, flushed to disk, then renamed.

use crate::error::{Error, Result};
use std::io::Write;
use std::path::Path;

/// Writes a file atomically: a reader of `path` finds the old contents or the new, never a part. The folder
/// must exist; an existing file is replaced.
///
/// # Errors
/// The file system fails. The error names the path; no temporary file is left.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<()> {
    let failed = |source| Error::Io { operation: "writing", path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = temporary_file().tempfile_in(folder).map_err(failed)?;
    file.write_all(contents).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// A temporary file with the permissions of an ordinary new file (0666 less the umask): temporary files are
/// private by default, but a report is for others to read.
fn temporary_file() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs_err::read_dir(folder).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn replaces_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for contents in ["first, longer", "second"] {
            write_atomically(&path, contents.as_bytes()).unwrap();
            assert_eq!(fs_err::read_to_string(&path).unwrap(), contents);
        }
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_failure_names_the_path_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("no/such/file");
        let message = write_atomically(&absent, b"x").unwrap_err().to_string();
        assert!(message.contains("no/such/file"), "{message}");
        let taken = folder.path().join("taken");
        fs_err::create_dir(&taken).unwrap();
        assert!(write_atomically(&taken, b"x").is_err());
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_as_far_as_the_umask_allows() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (atomic, plain) = (folder.path().join("atomic"), folder.path().join("plain"));
        write_atomically(&atomic, b"x").unwrap();
        fs_err::write(&plain, b"x").unwrap();
        let mode = |path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&atomic), mode(&plain));
    }
}
