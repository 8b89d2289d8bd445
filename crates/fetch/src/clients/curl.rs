//! Files of a web site, fetched with curl: resumable, and out of the way within seconds where the network is closed.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus};

use super::on_disk::{file_name, size};
use super::session::Session;
use crate::error::{Error, Result, cannot};
use crate::listener::Listener;
use crate::staging::discard;

/// curl's exit status when the server cannot go on where an earlier transfer stopped.
const CANNOT_RESUME: i32 = 33;

/// Fetches an address to a file, unless a whole one is there. `whole` says whether a file is all that it should be.
///
/// # Errors
/// curl is not there or gets no further, or what arrived is not whole.
pub fn file(session: &Session, url: &str, target: &Path, whole: &dyn Fn(&Path) -> bool) -> Result<()> {
    if whole(target) {
        return Ok(());
    }
    let what = format!("downloading {}", file_name(target));
    resumed(target, whole, session.listener(), |part| session.run(&mut curl(session, url, part), &what, part))
}

/// Fetches into a file beside the target and renames that once it is whole. A transfer that breaks off is resumed as
/// long as each attempt gets further. `transfer` appends to the file that it names.
fn resumed(
    target: &Path,
    whole: &dyn Fn(&Path) -> bool,
    listener: &dyn Listener,
    mut transfer: impl FnMut(&Path) -> Result<ExitStatus>,
) -> Result<()> {
    let part = target.with_added_extension("part");
    while !whole(&part) {
        let before = size(&part);
        let status = transfer(&part)?;
        if status.code() == Some(CANNOT_RESUME) && before > 0 {
            fs::remove_file(&part).map_err(cannot("remove", &part))?;
        } else if status.success() && !whole(&part) {
            discard(&part, listener);
            return Err(Error::NotPublished { what: format!("what arrived is not {}", file_name(target)) });
        } else if !status.success() && size(&part) <= before {
            return Err(Error::Transfer { status });
        }
    }
    fs::rename(&part, target).map_err(cannot("put in place", target))
}

fn curl(session: &Session, url: &str, part: &Path) -> Command {
    let mut command = session.client("curl");
    command
        .args(["--fail", "--location", "--silent", "--show-error"])
        .args(["--connect-timeout", "5"])
        // A transfer that hangs for a minute is broken off, and resumed.
        .args(["--speed-limit", "1000", "--speed-time", "60"])
        .args(["--continue-at", "-", "--output"])
        .arg(part)
        .arg(url);
    command
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;
    use std::path::PathBuf;

    use super::*;
    use crate::archives::unzip;
    use crate::listener::Silent;

    fn exit(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    fn append(part: &Path, bytes: &[u8]) {
        fs::File::options().create(true).append(true).open(part).unwrap().write_all(bytes).unwrap();
    }

    /// The bytes of a zip archive, and a folder with a place to fetch it to.
    fn remote() -> (Vec<u8>, tempfile::TempDir, PathBuf) {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("a", zip::write::SimpleFileOptions::default()).unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.zip");
        (bytes, folder, target)
    }

    #[test]
    fn a_transfer_that_breaks_off_is_resumed_where_it_stopped() {
        let (bytes, folder, target) = remote();
        let mut attempts = 0;
        resumed(&target, &unzip::is_whole, &Silent, |part| {
            attempts += 1;
            let have = size(part) as usize;
            append(part, &bytes[have..(have + 20).min(bytes.len())]);
            Ok(exit(if have + 20 < bytes.len() { 18 } else { 0 }))
        })
        .unwrap();
        assert_eq!(attempts, bytes.len().div_ceil(20));
        assert_eq!(fs::read(&target).unwrap(), bytes);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_server_that_cannot_resume_is_asked_for_the_whole() {
        let (bytes, _folder, target) = remote();
        append(&target.with_added_extension("part"), b"half");
        resumed(&target, &unzip::is_whole, &Silent, |part| {
            if size(part) > 0 {
                return Ok(exit(CANNOT_RESUME));
            }
            append(part, &bytes);
            Ok(exit(0))
        })
        .unwrap();
        assert_eq!(fs::read(&target).unwrap(), bytes);
    }

    #[test]
    fn no_progress_is_the_end_and_leaves_no_target() {
        let (_, _folder, target) = remote();
        let mut attempts = 0;
        let error = resumed(&target, &unzip::is_whole, &Silent, |_| {
            attempts += 1;
            Ok(exit(6))
        });
        assert!(error.unwrap_err().to_string().contains("curl failed"));
        assert_eq!(attempts, 1);
        assert!(!target.exists());
    }

    #[test]
    fn a_page_that_is_no_archive_is_not_kept() {
        let (_, folder, target) = remote();
        let error = resumed(&target, &unzip::is_whole, &Silent, |part| {
            append(part, b"<html>please log in</html>");
            Ok(exit(0))
        });
        assert!(error.unwrap_err().to_string().contains("not a.zip"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
