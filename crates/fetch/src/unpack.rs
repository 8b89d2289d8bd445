//! An asset's files out of what was downloaded.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::archives::{tarball, unzip};
use crate::asset::Asset;
use crate::cifar;
use crate::clients::{Session, apt};
use crate::error::{Error, Result, cannot};

/// Takes an asset's files, and the parts that files are made of, out of an archive into a folder, all side by side;
/// makes files of parts. A file that is no archive is taken as it is.
pub(crate) fn unpack(session: &Session, asset: &Asset, file: &Path, into: &Path) -> Result<()> {
    let place = |member: &Path| asset.takes(member).then(|| member.file_name().unwrap_or_default().into());
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ends(&[".whl", ".zip"]) {
        unzip::unpack(file, into, place, session.listener())?;
    } else if ends(&[".tgz", ".tar.gz"]) {
        let stream = File::open(file).map_err(cannot("open", file))?;
        tarball::unpack(GzDecoder::new(BufReader::new(stream)), name, into, place, session.listener())?;
    } else if ends(&[".deb"]) {
        apt::unpack(session, file, into, place)?;
    } else {
        // A download carries the asset's name in front.
        let name = name.strip_prefix(&format!("{}-", asset.set.name)).unwrap_or(name);
        if !asset.takes(name.as_ref()) {
            let expected = format!("a file of {} or an archive", asset.set.name);
            return Err(Error::Contents { path: file.to_owned(), expected, got: "neither".to_owned() });
        }
        fs::copy(file, into.join(name)).map_err(cannot("copy", file))?;
    }
    cifar::rebuild(into, session.listener())
}
