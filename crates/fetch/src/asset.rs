//! What can be fetched: its published files, which of them are there and right, and taking the right ones out of a folder
//! that may hold anything.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use fewstep_files::published::{PublishedFile, PublishedSet, Unknown};
use flate2::bufread::MultiGzDecoder;

use crate::error::{Result, cannot};
use crate::source::Source;

/// Published files, and where they can be had.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// The files, which live in one folder of the cache.
    pub set: &'static PublishedSet,
    /// Members of archives of which CIFAR-10's files are made, where a source has pictures of them.
    pub parts: &'static [&'static str],
    /// In the order in which they are tried.
    pub sources: &'static [Source],
}

impl Asset {
    /// The files that are not in the folder as the program reads them, and those that are there and are not the
    /// published ones, with what they are.
    pub(crate) fn missing(&self, folder: &Path) -> Result<Missing> {
        let mut missing = Missing::default();
        for published in self.set.files {
            let path = folder.join(published.name);
            if !path.exists() {
                missing.files.push(published);
            } else if let Err(what) = check(published, &path)? {
                missing.files.push(published);
                missing.wrong.push((path, what.to_string()));
            }
        }
        Ok(missing)
    }

    /// Whether a member of an archive is one of the files or a part of one.
    pub(crate) fn takes(&self, member: &Path) -> bool {
        let Some(name) = member.file_name().and_then(|name| name.to_str()) else { return false };
        self.parts.contains(&name) || self.set.files.iter().any(|file| names(file).any(|known| known == name))
    }

    /// Copies those of `wanted` that are in `from`, under any name, plain or packed, to `into`, under their own names.
    /// Gives back the others, and says of files with their names and other contents what they are.
    pub(crate) fn gather(
        &self,
        wanted: &[&'static PublishedFile],
        from: &Path,
        into: &Path,
    ) -> Result<(Vec<&'static PublishedFile>, Vec<String>)> {
        let (mut absent, mut wrong) = (Vec::new(), Vec::new());
        let folders = [from.to_path_buf(), from.join(self.set.archive_folder)];
        for published in wanted {
            let candidates = folders.iter().flat_map(|folder| names(published).map(|name| folder.join(name)));
            let mut found = false;
            for path in candidates.filter(|path| path.is_file()) {
                match copy(published, &path, into)? {
                    Ok(()) => {
                        found = true;
                        break;
                    }
                    Err(what) => wrong.push(format!("{} is not the published file: {what}", path.display())),
                }
            }
            if !found {
                absent.push(*published);
            }
        }
        wrong.dedup();
        Ok((absent, wrong))
    }
}

/// What a folder lacks.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    pub(crate) files: Vec<&'static PublishedFile>,
    /// Those of them in whose place there is something else.
    pub(crate) wrong: Vec<(PathBuf, String)>,
}

/// Every name under which the file may be found.
fn names(published: &PublishedFile) -> impl Iterator<Item = String> + use<> {
    let names = std::iter::once(published.name).chain(published.aliases.iter().copied());
    names.flat_map(|name| [name.to_owned(), format!("{name}.gz")])
}

/// Whether the contents of a file are the published ones, and what they are if not.
fn check(published: &PublishedFile, path: &Path) -> Result<std::result::Result<(), Unknown>> {
    let checked = open(path).and_then(|mut contents| published.digest.check(&mut contents));
    checked.map_err(cannot("read", path))
}

/// Copies a file, unpacked, to its name in `into`, and removes the copy if it is not the published one. A file that cannot be
/// read to its end, as one that was packed and is damaged, is not the published one either.
pub(crate) fn copy(
    published: &PublishedFile,
    path: &Path,
    into: &Path,
) -> Result<std::result::Result<(), String>> {
    let target = into.join(published.name);
    let mut file = File::create(&target).map_err(cannot("write", &target))?;
    let mut contents = open(path).map_err(cannot("open", path))?;
    let checked = match published.digest.copy(&mut contents, &mut file) {
        Ok(checked) => checked.map_err(|unknown| unknown.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if checked.is_err() {
        std::fs::remove_file(&target).map_err(cannot("remove", &target))?;
    }
    Ok(checked)
}

/// The contents of a file, unpacked if its name says that it is packed.
fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = BufReader::with_capacity(1 << 20, File::open(path)?);
    Ok(match path.extension().is_some_and(|extension| extension == "gz") {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::source::Client;
    use fewstep_files::published::KnownDigest::Sha256;

    /// Two files, of `abc` and of nothing, and two sources.
    pub(crate) const LETTERS: Asset = Asset {
        set: &PublishedSet {
            name: "letters",
            about: "",
            archive_folder: "letters-bin",
            files: &[
                PublishedFile {
                    name: "abc.bin",
                    aliases: &["default.bin"],
                    digest: Sha256(&["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]),
                },
                PublishedFile {
                    name: "empty.bin",
                    aliases: &[],
                    digest: Sha256(&["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]),
                },
            ],
        },
        parts: &[],
        sources: &[
            Source {
                client: Client::Site {
                    whose: "the site",
                    folder: "http://letters/",
                    files: &["letters.tar.gz"],
                },
                digest: None,
            },
            Source { client: Client::Npm { package: "letters", version: "1.0.0" }, digest: None },
        ],
    };

    pub(crate) fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn gathered(files: &[(&str, &[u8])]) -> (Vec<&'static str>, Vec<String>, tempfile::TempDir) {
        let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            let path = from.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let wanted: Vec<_> = LETTERS.set.files.iter().collect();
        let (absent, wrong) = LETTERS.gather(&wanted, from.path(), into.path()).unwrap();
        (absent.iter().map(|file| file.name).collect(), wrong, into)
    }

    #[test]
    fn files_are_found_under_every_name_and_in_the_archives_folder() {
        for name in ["abc.bin", "default.bin", "letters-bin/abc.bin"] {
            let (absent, wrong, into) = gathered(&[(name, b"abc")]);
            assert_eq!((absent, wrong), (vec!["empty.bin"], vec![]), "{name}");
            assert_eq!(fs::read(into.path().join("abc.bin")).unwrap(), b"abc");
        }
        let (absent, _, into) = gathered(&[("default.bin.gz", &packed(b"abc")), ("empty.bin", b"")]);
        assert!(absent.is_empty());
        assert_eq!(fs::read(into.path().join("abc.bin")).unwrap(), b"abc");
    }

    #[test]
    fn other_contents_are_named_and_not_copied() {
        let (absent, wrong, into) = gathered(&[("abc.bin", b"abd"), ("empty.bin.gz", b"not packed")]);
        assert_eq!(absent, ["abc.bin", "empty.bin"]);
        assert!(wrong[0].contains("abc.bin is not") && wrong[0].contains("published ba7816bf"), "{wrong:?}");
        assert!(wrong[1].contains("empty.bin.gz is not"), "{wrong:?}");
        assert_eq!(fs::read_dir(into.path()).unwrap().count(), 0);
        // A wrong one does not hide a right one.
        assert_eq!(gathered(&[("abc.bin", b"abd"), ("default.bin", b"abc")]).0, ["empty.bin"]);
    }

    #[test]
    fn what_lacks_is_told_from_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("abc.bin"), "abd").unwrap();
        let missing = LETTERS.missing(folder.path()).unwrap();
        assert_eq!((missing.files.len(), missing.wrong.len()), (2, 1));
        fs::write(folder.path().join("abc.bin"), "abc").unwrap();
        fs::write(folder.path().join("empty.bin"), "").unwrap();
        assert!(LETTERS.missing(folder.path()).unwrap().files.is_empty());
    }

    #[test]
    fn members_are_known_by_their_last_name() {
        assert!(LETTERS.takes("package/data/default.bin.gz".as_ref()));
        assert!(!LETTERS.takes("package/default.bin/readme".as_ref()));
    }
}
