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

/// The vectors that lie directly in `folder`, by name.
///
/// # Errors
/// No such folder, or no vector in it.
pub(crate) fn vectors(folder: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("`{}` is no folder of vectors (FEWSTEP_GOLDEN names one)", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.extension() == Some(OsStr::new("safetensors")) {
            found.push(path);
        }
    }
    ensure!(!found.is_empty(), "no vectors (*.safetensors) in `{}`", folder.display());
    found.sort_unstable();
    Ok(found)
}
