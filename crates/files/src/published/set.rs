//! What a published file and a set of them are.

use super::known::KnownDigest;

/// Published files that live in one folder of the cache.
#[derive(Debug)]
pub struct PublishedSet {
    /// What a person types, and the folder.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// The files.
    pub files: &'static [PublishedFile],
    /// The folder in which the publishers' own archive has the files; empty if there is none.
    pub archive_folder: &'static str,
}

/// A file whose contents are published.
#[derive(Debug, Clone, Copy)]
pub struct PublishedFile {
    /// As the program reads it.
    pub name: &'static str,
    /// Other names under which it travels. Under each it may be packed, as `.gz`.
    pub aliases: &'static [&'static str],
    /// Of the contents, unpacked.
    pub digest: KnownDigest,
}

impl PublishedSet {
    /// The file of this name.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&'static PublishedFile> {
        self.files.iter().find(|file| file.name == name)
    }
}
