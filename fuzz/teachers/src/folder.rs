//! A folder on disk from one text: a line of the request, then files, each after a line `=== PATH`. A file that begins with
//! `@` is a safetensors file of the tensors in its lines.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::request::Request;
use crate::state::{safetensors, tensors};

/// Files of one folder.
const MOST_FILES: usize = 16;

/// Writes the folder of an input in place of the one before, and returns it with the request.
pub fn written(text: &str) -> (PathBuf, Request) {
    let root = root();
    let _ = fs::remove_dir_all(&root);
    // The scheduler of a network alone may lie beside it, so the folder is one deeper.
    let folder = root.join("teacher");
    fs::create_dir_all(&folder).expect("a folder in memory");
    let mut parts = text.split("=== ");
    let request = Request::of(parts.next().unwrap_or_default().trim_end());
    for part in parts.take(MOST_FILES) {
        let (path, contents) = part.split_once('\n').unwrap_or((part, ""));
        if let Some(path) = allowed(&folder, path) {
            write(&path, contents);
        }
    }
    (folder, request)
}

/// A folder in memory where there is one: an input is written and read within a tenth of a millisecond.
fn root() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    place.join(format!("fewstep-fuzz-{}", std::process::id()))
}

/// Where a file goes; `None` for one that would lie outside, or too deep. The paths are of the target's making: what must
/// not leave the folder are the names inside the files.
fn allowed(folder: &Path, path: &str) -> Option<PathBuf> {
    let (start, inner) = match path.strip_prefix("../scheduler/") {
        Some(inner) => (folder.parent()?.join("scheduler"), inner),
        None => (folder.to_owned(), path),
    };
    let plain = Path::new(inner).components().all(|part| matches!(part, Component::Normal(_)));
    let is_short = inner.len() < 200 && inner.split('/').count() <= 3 && !inner.contains('\0');
    (plain && is_short && !inner.is_empty()).then(|| start.join(inner))
}

/// A path that cannot be written (a file where a folder should be) is left out.
fn write(path: &Path, contents: &str) {
    if let Some(parent) = path.parent() {
        let _ = fs::create_dir_all(parent);
    }
    let _ = match contents.strip_prefix('@') {
        Some(lines) => fs::write(path, safetensors(&tensors(lines.split('\n')))),
        None => fs::write(path, contents),
    };
}
