//! Files that are whole or absent: written under a temporary name in the same folder, flushed to disk, then renamed.

use std::fs::File;
use std::io::{self, BufWriter, IntoInnerError, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::temporary::{builder, parent, reason};

/// A file on its way to a path. Until it is committed it lies beside that under a temporary name, and is removed if it is
/// dropped. Writing is buffered.
#[derive(Debug)]
pub struct AtomicFile {
    out: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl AtomicFile {
    /// Begins a file for `path`, whose folder must exist.
    ///
    /// # Errors
    /// The folder is missing, read only or full; `path` is named.
    pub fn create(path: &Path) -> Result<Self> {
        let file = builder(0o666).tempfile_in(parent(path)).map_err(|e| failed(path, reason(e)))?;
        Ok(Self { out: BufWriter::new(file), path: path.to_owned() })
    }

    /// Gives the file its name. Whoever reads the path at any time finds the old contents or the new, never a part.
    ///
    /// # Errors
    /// The file system refuses; the path is named, what stood there stays, and no temporary file is left.
    pub fn commit(self) -> Result<()> {
        let (file, path) = self.flushed()?;
        file.persist(&path).map_err(|e| failed(&path, e.error))?;
        Ok(())
    }

    /// The same for a path at which nothing may be.
    ///
    /// # Errors
    /// As [`Self::commit`], and if something has come to lie at the path.
    pub fn commit_new(self) -> Result<()> {
        let (file, path) = self.flushed()?;
        file.persist_noclobber(&path).map_err(|e| failed(&path, e.error))?;
        Ok(())
    }

    /// The file with all its bytes on disk.
    fn flushed(self) -> Result<(NamedTempFile, PathBuf)> {
        let Self { out, path } = self;
        let file = out.into_inner().map_err(|e| failed(&path, reason(IntoInnerError::into_error(e))))?;
        file.as_file().sync_all().map_err(|e| failed(&path, e))?;
        Ok((file, path))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes).map_err(reason)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush().map_err(reason)
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.out.seek(to).map_err(reason)
    }
}

/// Writes a file atomically. Whoever reads `path` at any time finds the old contents or the new, never a part. The folder
/// must exist; an existing file is replaced.
///
/// # Errors
/// The file system refuses; the path is named, what stood there stays, and no temporary file is left.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(contents).map_err(|e| failed(path, e))?;
    file.commit()
}

/// A file without a name on the disk where `path` is: room for what has to be whole before `path` can be written.
///
/// # Errors
/// The folder of `path` is missing, read only or full; `path` is named.
pub fn scratch_file(path: &Path) -> Result<File> {
    tempfile::tempfile_in(parent(path)).map_err(|e| failed(path, reason(e)))
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Io { operation: "writing", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn replaces_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for contents in ["first, longer", "second"] {
            write_atomically(&path, contents.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), contents);
        }
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_failure_names_the_path_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("no/such/file");
        let message = write_atomically(&absent, b"x").unwrap_err().to_string();
        assert!(message.contains("no/such/file") && !message.contains(".writing-"), "{message}");
        let taken = folder.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        assert!(write_atomically(&taken, b"x").is_err());
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[test]
    fn a_stream_is_there_once_it_is_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(&[0; 4]).unwrap();
        file.write_all(&[7; 99_996]).unwrap();
        file.rewind().unwrap();
        file.write_all(&[7; 4]).unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [7; 100_000]);
        drop(AtomicFile::create(&path).unwrap());
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn what_must_be_new_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        AtomicFile::create(&path).unwrap().commit_new().unwrap();
        let mut second = AtomicFile::create(&path).unwrap();
        second.write_all(b"second").unwrap();
        let message = second.commit_new().unwrap_err().to_string();
        assert!(message.contains("exists"), "{message}");
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_scratch_file_is_seen_by_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = scratch_file(&folder.path().join("file")).unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(names(folder.path()), [""; 0]);
        let message = scratch_file(&folder.path().join("no/file")).unwrap_err().to_string();
        assert!(message.contains("no/file"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_as_far_as_the_umask_allows() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (atomic, plain) = (folder.path().join("atomic"), folder.path().join("plain"));
        write_atomically(&atomic, b"x").unwrap();
        std::fs::write(&plain, b"x").unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&atomic), mode(&plain));
    }
}
