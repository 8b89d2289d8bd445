//! Taking the wanted members out of a tar stream. Only files count: what a link in an archive points to is nobody's
//! business here.

use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use tar::Archive;

use super::member::{copy, write_member};
use crate::error::{Error, Result, damaged};
use crate::listener::Listener;

/// Unpacks into the folder `into` those members for which `place` answers with a path, which is taken as relative to
/// it. `name` is what the stream is called in messages. The stream is read to its end.
///
/// # Errors
/// The stream is no whole tar, a wanted member wants to leave the folder, or no member was wanted.
pub fn unpack(
    mut stream: impl Read,
    name: &str,
    into: &Path,
    place: impl Fn(&Path) -> Option<PathBuf>,
    listener: &dyn Listener,
) -> Result<()> {
    let not_whole = || damaged::<io::Error>(format!("{name} is not a whole tar archive"));
    let mut progress = listener.transfer(&format!("unpacking {name}"), None);
    let (mut done, mut found) = (0, 0);
    for member in Archive::new(&mut stream).entries().map_err(not_whole())? {
        let mut member = member.map_err(not_whole())?;
        let path = member.path().map_err(not_whole())?.into_owned();
        let Some(to) = place(&path).filter(|_| member.header().entry_type().is_file()) else { continue };
        let stays = to.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !stays {
            return Err(Error::Outside { archive: name.to_owned(), member: path.display().to_string() });
        }
        let to = into.join(to);
        let size = member.size();
        write_member(&mut member, size, &to, name, |n| {
            done += n;
            progress.at(done);
        })?;
        found += 1;
    }
    if found == 0 {
        return Err(Error::Nothing { archive: name.to_owned() });
    }
    // The packer's checksum comes after the last member.
    copy(&mut stream, &mut io::sink(), |_| ()).map_err(not_whole())?;
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
    use crate::listener::Silent;

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
        unpack(GzDecoder::new(&bytes[..]), "a.tgz", folder.path(), place, &Silent).unwrap();
        assert_eq!(fs::read(folder.path().join("a.bin")).unwrap(), b"contents");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let error =
            unpack(GzDecoder::new(&bytes[..]), "a.tgz", folder.path(), |_| None, &Silent).unwrap_err();
        assert!(error.to_string().contains("a.tgz holds nothing"), "{error}");
    }

    #[test]
    fn a_truncated_or_damaged_stream_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let whole = packed(&[("a", &[7; 5000])]);
        let all = |name: &Path| Some(name.to_path_buf());
        unpack(GzDecoder::new(&whole[..]), "a.tgz", folder.path(), all, &Silent).unwrap();
        assert!(
            unpack(GzDecoder::new(&whole[..whole.len() - 9]), "a.tgz", folder.path(), all, &Silent).is_err()
        );
        let mut damaged = whole.clone();
        let checksum = whole.len() - 6;
        damaged[checksum] ^= 1;
        assert!(unpack(GzDecoder::new(&damaged[..]), "a.tgz", folder.path(), all, &Silent).is_err());
    }

    #[test]
    fn a_member_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("into");
        let bytes = packed(&[("../outside", b"x")]);
        let error = unpack(GzDecoder::new(&bytes[..]), "a.tgz", &into, |name| Some(name.into()), &Silent)
            .unwrap_err();
        assert!(error.to_string().contains("../outside"), "{error}");
        assert!(!folder.path().join("outside").exists());
    }
}
