//! Packages of Debian and its relatives.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::on_disk::{file_name, files};
use super::session::Session;
use crate::archives::tarball;
use crate::error::{Error, Result};
use crate::process;

/// The package's file, in the version that the user's distribution has.
///
/// # Errors
/// apt-get is not there, fails or leaves nothing.
pub fn package(session: &Session, package: &str) -> Result<PathBuf> {
    let is_it = |name: &str| {
        name.strip_prefix(package).is_some_and(|rest| rest.starts_with('_') && rest.ends_with(".deb"))
    };
    if let Some(found) = files(&session.downloads()).into_iter().find(|path| is_it(file_name(path))) {
        return Ok(found);
    }
    let mut command = session.client("apt-get");
    command.args(["--quiet=2", "download", package]);
    // Without it root is warned that the file will be root's.
    command.args(["--option", "APT::Sandbox::User=root"]);
    session.leaves(&mut command, &format!("apt-get download {package}"), is_it)
}

/// Unpacks the wanted files of a package, as [`tarball::unpack`] does. The packing of a .deb is one of four, all of
/// which dpkg-deb knows, and it is there wherever apt-get is.
///
/// # Errors
/// dpkg-deb is not there or fails, and those of [`tarball::unpack`].
pub fn unpack(
    session: &Session,
    deb: &Path,
    into: &Path,
    place: impl Fn(&Path) -> Option<PathBuf>,
) -> Result<()> {
    let mut command = session.client("dpkg-deb");
    command.arg("--fsys-tarfile").arg(deb).stdin(Stdio::null()).stdout(Stdio::piped());
    let failed =
        |operation| move |source| Error::Process { operation, program: "dpkg-deb".to_owned(), source };
    let mut child = command.spawn().map_err(failed("start"))?;
    let no_output = || failed("read the output of")(ErrorKind::BrokenPipe.into());
    let stream = child.stdout.take().ok_or_else(no_output)?;
    // The stream is closed before the child is waited for, or it could wait for us.
    let unpacked = tarball::unpack(stream, file_name(deb), into, place, session.listener());
    let status = child.wait().map_err(failed("wait for"))?;
    unpacked?;
    process::succeeded(&command, status)
}
