//! An asset's files out of what was downloaded.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::bufread::GzDecoder;

use super::cifar;
use super::published::Asset;
use crate::cache::{tarball, unzip};
use crate::clients::{Session, apt};

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
