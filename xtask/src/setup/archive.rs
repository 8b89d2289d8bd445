//! The official CPU archive of pytorch.org, fetched with curl: resumable, and out of the way within seconds where the
//! network is closed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, bail, ensure};

use super::cache::{Cache, Lock};
use super::libtorch::VERSION;
use super::progress::Progress;
use super::unpack;
use crate::process;

/// curl's exit status when the server cannot go on where an earlier transfer stopped.
const CANNOT_RESUME: i32 = 33;

/// Fetches the archive if it is not in the downloads, and unpacks its libraries and headers.
pub(crate) fn fill(cache: &Cache, lock: &Lock, into: &Path) -> Result<()> {
    ensure!(env::consts::ARCH == "x86_64", "there is none for {}", env::consts::ARCH);
    let zip = cache.downloads().join(format!("libtorch-shared-with-deps-{VERSION}+cpu.zip"));
    if !unpack::is_whole(&zip) {
        fetch(&zip, |part| transfer(&url(), part, lock))?;
    }
    unpack::unpack(&zip, into, member).inspect_err(|_| discard(&zip))
}

/// A download that does not unpack would fail again every time.
pub(crate) fn discard(download: &Path) {
    eprintln!("setup: removing {}, which is damaged", download.display());
    if let Err(error) = fs::remove_file(download) {
        eprintln!("setup: cannot remove {}: {error}", download.display());
    }
}

fn url() -> String {
    format!("https://download.pytorch.org/libtorch/cpu/libtorch-shared-with-deps-{VERSION}%2Bcpu.zip")
}

/// Fetches into a file beside the target and renames that once it is whole. A transfer that breaks off is resumed as
/// long as each attempt gets further. `transfer` appends to the file it is given.
fn fetch(target: &Path, mut transfer: impl FnMut(&Path) -> Result<ExitStatus>) -> Result<()> {
    let part = target.with_added_extension("part");
    while !unpack::is_whole(&part) {
        let before = size(&part);
        let status = transfer(&part)?;
        if status.code() == Some(CANNOT_RESUME) && before > 0 {
            fs::remove_file(&part)?;
        } else if status.success() && !unpack::is_whole(&part) {
            discard(&part);
            bail!("what arrived is not a zip archive");
        } else if !status.success() && size(&part) <= before {
            bail!("curl failed ({status})");
        }
    }
    fs::rename(&part, target).with_context(|| format!("cannot move {} into place", target.display()))
}

fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |file| file.len())
}

fn transfer(url: &str, part: &Path, lock: &Lock) -> Result<ExitStatus> {
    let mut progress = Progress::new("downloading libtorch", None);
    process::run_watched(curl(url, part).stdin(lock.stdin()?), || progress.at(size(part)))
}

fn curl(url: &str, part: &Path) -> Command {
    let mut command = Command::new("curl");
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

/// The archive also holds static libraries and CMake files, which nothing here uses.
fn member(name: &Path) -> Option<PathBuf> {
    let name = name.strip_prefix("libtorch").ok()?;
    let file = name.file_name()?.to_str()?;
    let wanted = name.starts_with("include")
        || (name.starts_with("lib") && file.contains(".so"))
        || name == Path::new("build-version");
    wanted.then(|| name.to_path_buf())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;

    use super::*;

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
        fetch(&target, |part| {
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
        fetch(&target, |part| {
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
        let error = fetch(&target, |_| {
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
        let error = fetch(&target, |part| {
            append(part, b"<html>please log in</html>");
            Ok(exit(0))
        });
        assert!(error.unwrap_err().to_string().contains("not a zip archive"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn libraries_and_headers_are_taken() {
        let to = |name: &str| member(Path::new(name)).map(|path| path.display().to_string());
        assert_eq!(to("libtorch/lib/libtorch_cpu.so").as_deref(), Some("lib/libtorch_cpu.so"));
        assert_eq!(to("libtorch/lib/libgomp-abc123.so.1").as_deref(), Some("lib/libgomp-abc123.so.1"));
        assert_eq!(to("libtorch/include/torch/library.h").as_deref(), Some("include/torch/library.h"));
        assert_eq!(to("libtorch/build-version").as_deref(), Some("build-version"));
        assert_eq!(to("libtorch/lib/libdnnl.a"), None);
        assert_eq!(to("libtorch/share/cmake/Torch/TorchConfig.cmake"), None);
    }
}
