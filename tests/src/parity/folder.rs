//! Where vectors come from.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The project's own vectors.
pub(crate) fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The folder that the variable `FEWSTEP_GOLDEN` names. Tests run in their package's folder, so that a relative path is also looked for
/// from the workspace's root, where cargo is usually called.
pub(crate) fn named(value: &OsStr) -> PathBuf {
    let given = PathBuf::from(value);
    let from_root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(&given);
    if !given.is_dir() && from_root.is_dir() && !value.is_empty() { from_root } else { given }
}

/// The file of a vector that is a folder, because it is about files of another program.
const EXPECT: &str = "expect.safetensors";

/// The vectors that lie directly in `folder`, and those that are folders at any depth below it, by name.
///
/// # Errors
/// No such folder, or no vector in it.
pub(crate) fn vectors(folder: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("`{}` is no folder of vectors (FEWSTEP_GOLDEN names one)", folder.display());
    let mut found = Vec::new();
    for path in entries(folder).with_context(context)? {
        // By the name first: a folder that is called like a file is a vector that cannot be read.
        if path.extension() == Some(OsStr::new("safetensors")) {
            found.push(path);
        } else if path.is_dir() {
            find_folders(&path, &mut found).with_context(context)?;
        }
    }
    ensure!(!found.is_empty(), "no vectors (*.safetensors) in `{}`", folder.display());
    found.sort_unstable();
    Ok(found)
}

fn find_folders(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let expect = folder.join(EXPECT);
    if expect.is_file() {
        found.push(expect);
        return Ok(());
    }
    entries(folder)?.iter().filter(|path| path.is_dir()).try_for_each(|path| find_folders(path, found))
}

fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

/// What a vector is called: a file by its name, a folder by its own and that of its kind.
pub(crate) fn name(path: &Path) -> String {
    let part = |path: Option<&Path>| {
        path.and_then(Path::file_stem).map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
    };
    if path.file_name() == Some(OsStr::new(EXPECT)) {
        let folder = path.parent();
        return format!("{}/{}", part(folder.and_then(Path::parent)), part(folder));
    }
    part(Some(path))
}
