//! The cache: where it is, whether it can be written, and what of the published data is there.

use std::fs;
use std::path::Path;

use fewstep_fetch::ASSETS;
use fewstep_files::published::PublishedSet;

use super::Finding;

pub(super) fn findings(folder: Option<&Path>) -> Vec<Finding> {
    const WHERE: &str = "set FEWSTEP_CACHE to a folder that can be written";
    let Some(folder) = folder else {
        return vec![Finding::new("cache", "there is no home to have it in").advise(WHERE)];
    };
    let shown = folder.display();
    let cache = match writable(folder) {
        Ok(true) => Finding::new("cache", format!("{shown}, can be written")),
        Ok(false) => Finding::new("cache", format!("{shown}, is not there yet and can be made")),
        Err(e) => Finding::new("cache", format!("{shown}, cannot be written: {e}")).advise(WHERE),
    };
    let is_there =
        |set: &PublishedSet| set.files.iter().all(|file| folder.join(set.name).join(file.name).exists());
    let (there, absent): (Vec<_>, Vec<_>) =
        ASSETS.iter().map(|asset| asset.set).partition(|set| is_there(set));
    let names = |sets: Vec<&PublishedSet>| sets.iter().map(|set| set.name).collect::<Vec<_>>().join(", ");
    let has = if there.is_empty() {
        "none of the published sets is there".into()
    } else {
        format!("{} there", names(there))
    };
    let lacks = if absent.is_empty() {
        String::new()
    } else {
        format!("; `fewstep fetch`, or the command that needs it, brings {}", names(absent))
    };
    let data = Finding::new("data", format!("{has}{lacks}; the digits are in the program"));
    vec![cache, data]
}

/// Whether the folder is there, where something can be written into it, or into the folder in which it would be made.
fn writable(folder: &Path) -> std::io::Result<bool> {
    let folder = std::path::absolute(folder)?;
    let there = folder.ancestors().find(|folder| fs::symlink_metadata(folder).is_ok()).unwrap_or(&folder);
    tempfile::tempfile_in(there)?;
    Ok(there == folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_is_there_can_be_made_or_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let said =
            |folder: &Path| findings(Some(folder)).iter().map(|f| format!("{f}\n")).collect::<String>();
        assert!(said(dir.path()).contains(", can be written\n"));
        assert!(said(&dir.path().join("a/b")).contains("can be made"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
        fs::write(dir.path().join("file"), "").unwrap();
        let refused = said(&dir.path().join("file"));
        assert!(
            refused.contains("cannot be written: ") && refused.contains("set FEWSTEP_CACHE"),
            "{refused}"
        );
        assert!(findings(None)[0].to_string().contains("set FEWSTEP_CACHE"));
    }

    #[test]
    fn published_data_is_there_or_can_be_fetched() {
        let dir = tempfile::tempdir().unwrap();
        for file in fewstep_files::published::MNIST.files {
            fs::create_dir_all(dir.path().join("mnist")).unwrap();
            fs::write(dir.path().join("mnist").join(file.name), "").unwrap();
        }
        let data = findings(Some(dir.path()))[1].to_string();
        assert!(data.contains("data        mnist there; `fewstep fetch`"), "{data}");
        assert!(data.contains("brings cifar10, inception, fashion-mnist; the digits"), "{data}");
        let none = findings(Some(&dir.path().join("mnist")))[1].to_string();
        assert!(none.contains("none of the published sets is there; `fewstep fetch`"), "{none}");
    }
}
