//! Taking the wanted members out of a tar stream. Only files count: what a link in an archive points to is nobody's
//! business here.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tar::Archive;

use super::member::{copy, write_member};
use super::progress::Progress;

/// Unpacks into the folder `into` those members for which `place` answers with a path, which is taken as relative to
/// it. `name` is what the stream is called in messages. The stream is read to its end.
///
/// # Errors
/// The stream is no whole tar, a wanted member wants to leave the folder, or no member was wanted.
pub(crate) fn unpack(
    mut stream: impl Read,
    name: &str,
    into: &Path,
    place: impl Fn(&Path) -> Option<PathBuf>,
) -> Result<()> {
    let damaged = || format!("{name} is not a whole tar archive");
    let mut progress = Progress::new(format!("unpacking {name}"), None);
    let (mut done, mut found) = (0, 0);
    for member in Archive::new(&mut stream).entries().with_context(damaged)? {
        let mut member = member.with_context(damaged)?;
        let path = member.path().with_context(damaged)?.into_owned();
        let Some(to) = place(&path).filter(|_| member.header().entry_type().is_file()) else { continue };
        let stays = to.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        ensure!(stays, "{name}: the member {} leaves the archive", path.display());
        let to = into.join(to);
        let size = member.size();
        write_member(&mut member, size, &to, name, |n| {
            done += n;
            progress.at(done);
        })?;
        found += 1;
    }
    ensure!(found > 0, "{name} holds nothing of what is looked for");
    // The packer's checksum comes after the last member.
    copy(&mut stream, &mut std::io::sink(), |_| ()).with_context(damaged)?;
    progress.finish(done);
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use flate2::Compression;
    use flate2::read::GzDecoder;
    use flate2::write::GzEncoder;

    use super::*;

    /// A `.tar.gz` with these files.
    pub(crate) fn packed(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            // Not `set_path`, which refuses names that a hostile archive may have.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, *bytes).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn wanted_members_arrive_where_they_are_placed() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = packed(&[("package/a.bin", b"contents"), ("package/b.txt", b"no")]);
        let place =
            |name: &Path| (name.extension()? == "bin").then(|| name.file_name().unwrap_or_default().into());
        unpack(GzDecoder::new(&bytes[..]), "a.tgz", folder.path(), place).unwrap();
        assert_eq!(fs::read(folder.path().join("a.bin")).unwrap(), b"contents");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let error = unpack(GzDecoder::new(&bytes[..]), "a.tgz", folder.path(), |_| None).unwrap_err();
        assert!(error.to_string().contains("a.tgz holds nothing"), "{error}");
    }

    #[test]
    fn a_truncated_or_damaged_stream_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let whole = packed(&[("a", &[7; 5000])]);
        let all = |name: &Path| Some(name.to_path_buf());
        unpack(GzDecoder::new(&whole[..]), "a.tgz", folder.path(), all).unwrap();
        assert!(unpack(GzDecoder::new(&whole[..whole.len() - 9]), "a.tgz", folder.path(), all).is_err());
        let mut damaged = whole.clone();
        let checksum = whole.len() - 6;
        damaged[checksum] ^= 1;
        assert!(unpack(GzDecoder::new(&damaged[..]), "a.tgz", folder.path(), all).is_err());
    }

    #[test]
    fn a_member_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("into");
        let bytes = packed(&[("../outside", b"x")]);
        let error = unpack(GzDecoder::new(&bytes[..]), "a.tgz", &into, |name| Some(name.into())).unwrap_err();
        assert!(error.to_string().contains("../outside"), "{error}");
        assert!(!folder.path().join("outside").exists());
    }
}
