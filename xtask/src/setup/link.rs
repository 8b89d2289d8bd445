//! The link `./libtorch`: one symbolic link a checkout, replaced in one step, and never a folder of the user's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// # Errors
/// Something that is not a link stands in the link's place.
pub(crate) fn check_replaceable(link: &Path) -> Result<()> {
    let free = link.symlink_metadata().map_or(true, |found| found.is_symlink());
    ensure!(free, "{} is not a link and not a usable libtorch: move it away", link.display());
    Ok(())
}

/// Whether the link is there and names this folder.
pub(crate) fn leads_to(link: &Path, folder: &Path) -> bool {
    fs::read_link(link).is_ok_and(|found| found == folder)
}

/// Makes the link point to the folder. A build that reads the link meanwhile sees the old or the new one.
pub(crate) fn place(link: &Path, folder: &Path) -> Result<()> {
    if leads_to(link, folder) {
        return Ok(());
    }
    check_replaceable(link)?;
    let new = link.with_extension(format!("new-{}", std::process::id()));
    symlink(folder, &new)
        .and_then(|()| fs::rename(&new, link))
        .with_context(|| format!("cannot link {} to {}", link.display(), folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_replaced_and_a_folder_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("libtorch");
        for target in ["/one", "/two", "/two"] {
            place(&link, Path::new(target)).unwrap();
            assert!(leads_to(&link, Path::new(target)));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary link was left");

        fs::remove_file(&link).unwrap();
        fs::create_dir(&link).unwrap();
        let error = place(&link, Path::new("/one")).unwrap_err().to_string();
        assert!(error.contains("move it away"), "{error}");
        assert!(link.is_dir());
    }
}
