//! Ready settings: the folder `configs` that comes with the program, whose files are called by name.
//!
//! It is found from where the program lies, by one rule for a checkout (`target/release/fewstep`) and a Python package
//! (`fewstep/bin/fewstep`): it is in the first folder above that has one. So a name means the same in both.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

/// The folder, where the program lies beside one.
pub fn folder() -> Option<PathBuf> {
    above(&env::current_exe().ok()?)
}

fn above(program: &Path) -> Option<PathBuf> {
    let folders = program.ancestors().skip(1).map(|folder| folder.join("configs"));
    folders.into_iter().find(|folder| folder.join("digits.toml").is_file())
}

/// The names of the configs in the folder, in their order.
pub fn names(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_config = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml");
    let name = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<_> = files.filter(is_config).filter_map(name).collect();
    names.sort();
    names
}

/// The file that `--config` asks for: a file of the user's by its path, else a ready one by its name.
///
/// # Errors
/// Neither is there; the nearest name is named.
pub fn find(asked: &Path) -> Result<PathBuf> {
    find_in(folder().as_deref(), asked)
}

fn find_in(folder: Option<&Path>, asked: &Path) -> Result<PathBuf> {
    // A pipe is as good as a file.
    if asked.exists() && !asked.is_dir() {
        return Ok(asked.to_owned());
    }
    let (names, place) = folder.map(|folder| (names(folder), folder.display())).unzip();
    let (names, name) = (names.unwrap_or_default(), asked.file_stem().unwrap_or_default().to_string_lossy());
    let is_name = asked.components().count() == 1;
    if let Some(folder) = folder.filter(|_| is_name && names.contains(&name.clone().into_owned())) {
        return Ok(folder.join(format!("{name}.toml")));
    }
    let near = fewstep_fetch::nearest(&name, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let hint = match (near, place) {
        (Some(near), Some(place)) => format!("; did you mean `{near}`, which is in {place}?"),
        (None, Some(place)) => format!(", nor a config of that name in {place}"),
        (_, None) => String::new(),
    };
    Err(anyhow!("--config {}: there is no such file{hint}", asked.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_before_a_name_and_a_wrong_name_names_the_nearest() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("fewstep/bin/fewstep");
        let configs = dir.path().join("fewstep/configs");
        std::fs::create_dir_all(&configs).unwrap();
        assert_eq!(above(&program), None);
        for name in ["digits.toml", "cifar10_mini.toml", "notes.txt"] {
            std::fs::write(configs.join(name), "").unwrap();
        }
        assert_eq!(above(&program).as_deref(), Some(configs.as_path()));
        assert_eq!(names(&configs), ["cifar10_mini", "digits"]);

        let find = |asked: &Path| find_in(Some(&configs), asked);
        let mine = dir.path().join("digits.toml");
        std::fs::write(&mine, "").unwrap();
        assert_eq!(find(&mine).unwrap(), mine);
        for asked in ["cifar10_mini", "cifar10_mini.toml"] {
            assert_eq!(find(asked.as_ref()).unwrap(), configs.join("cifar10_mini.toml"));
        }
        let refused = |asked: &str| find(asked.as_ref()).unwrap_err().to_string();
        assert!(refused("cifar10-mini").contains("did you mean `cifar10_mini`"));
        // A path is not a name, but tells what was meant.
        assert!(refused("configs/cifar10_mini.toml").contains("did you mean `cifar10_mini`"));
        assert!(refused("imagenet").contains("nor a config of that name in"));
        let alone = find_in(None, "digits".as_ref()).unwrap_err().to_string();
        assert!(alone.ends_with("--config digits: there is no such file"), "{alone}");
    }

    #[test]
    fn a_checkout_has_its_configs() {
        // Test programs lie below `target`, as the program does.
        let names = names(&folder().unwrap());
        assert!(names.contains(&"digits".to_owned()) && names.contains(&"cifar10_mini".to_owned()));
    }
}
