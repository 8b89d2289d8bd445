//! Places for what a command will write, tried before the work: a result that has nowhere to go is known at once.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use fewstep_files::AtomicFile;

/// Bytes that are written to see that there is room at all.
const TRIED: [u8; 4096] = [0; 4096];

/// A file at `path`, where `flag` wants it; another file there may be written over.
pub(crate) fn try_file(flag: &str, path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(there) if there.is_dir() => bail!("{flag} {}: is a folder", path.display()),
        Ok(there) if !there.is_file() => bail!("{flag} {}: is not a file", path.display()),
        _ => try_place(flag, path),
    }
}

/// Something new at `path`, where nothing may be yet but an empty folder.
pub(crate) fn try_new(flag: &str, path: &Path) -> Result<()> {
    let is_empty = || std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if std::fs::symlink_metadata(path).is_ok() && !is_empty() {
        bail!("{flag} {}: is there already", path.display());
    }
    try_place(flag, path)
}

/// Something at `path`, which is made beside it and renamed.
fn try_place(flag: &str, path: &Path) -> Result<()> {
    let named = match std::fs::symlink_metadata(path) {
        // The name itself may be impossible: too long, or below a file.
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    named.and_then(|()| write_in(folder)).with_context(|| cannot(flag, path))
}

/// Something in a folder at `path`, which is made with all above it.
pub(crate) fn try_folder(flag: &str, path: &Path) -> Result<()> {
    let there = path.ancestors().find(|p| p.as_os_str().is_empty() || std::fs::symlink_metadata(p).is_ok());
    let there = there.filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    write_in(there).with_context(|| cannot(flag, path))
}

fn cannot(flag: &str, path: &Path) -> String {
    format!("{flag} {}: cannot be written", path.display())
}

fn write_in(folder: &Path) -> io::Result<()> {
    let mut file = AtomicFile::create(&folder.join("tried"))?;
    file.write_all(&TRIED)?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_that_cannot_be_written_is_named_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"what stood here").unwrap();
        let long = dir.path().join("x".repeat(300));
        let told = |tried: Result<()>| format!("{:#}", tried.unwrap_err());
        for place in
            [dir.path().join("no/such/grid.png"), file.join("below.png"), long, "/proc/grid.png".into()]
        {
            for tried in [try_file("--out", &place), try_new("--out", &place)] {
                let told = told(tried);
                assert!(told.contains(&format!("--out {}: cannot be written: ", place.display())), "{told}");
                assert!(!told.contains("at path"), "{told}");
            }
        }
        assert!(told(try_file("--out", &dir.path().join("no/x"))).contains("No such file or directory"));
        assert!(told(try_file("--out", dir.path())).contains("is a folder"));
        // A device would be replaced by a file.
        assert!(told(try_file("--out", Path::new("/dev/null"))).contains("is not a file"));
        for place in [file.clone(), file.join("below/it"), "/proc/no/such".into()] {
            assert!(told(try_folder("--runs", &place)).contains("--runs"));
        }
        try_file("--out", &file).unwrap();
        try_new("--out", &dir.path().join("new.zip")).unwrap();
        assert!(told(try_new("--out", &file)).contains("is there already"));
        try_folder("--runs", &dir.path().join("a/b/c")).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(std::fs::read(&file).unwrap(), b"what stood here");
    }
}
