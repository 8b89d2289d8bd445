//! The format of `torch.save` since torch 1.6: a zip archive with a pickle, `NAME/data.pkl`, and one entry per storage,
//! `NAME/data/KEY`.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    allowance::Allowance,
    archive::{Archive, wrong},
    checkpoints::pickle::{
        self,
        walk::{Storages, Walk},
    },
    cursor::Cursor,
    error::{Error, Format, Result, escaped},
    tensor::Checkpoint,
};

const PICKLE: &str = "data.pkl";

/// Reads the tensors of a file. They are named by their keys joined with dots (`{"model": {"w": ...}}` gives `model.w`);
/// numbers and texts become options.
///
/// # Errors
/// [`Error::ForbiddenGlobal`] for a pickle that names a global that tensors do not need; [`Error::MissingStorage`] and
/// [`Error::Part`] for a tensor outside its storage or a damaged entry; other errors for a malformed archive or pickle.
pub fn read_torch_zip(bytes: &[u8]) -> Result<Checkpoint> {
    let kind = Format::TorchZip;
    let archive = Archive::open(kind, bytes)?;
    // Stored entries stay in the file; deflated entries take additional memory. (torch itself stores all entries.)
    let mut allowance = Allowance::new(kind, bytes.len() as u64);
    allowance.spend(archive.unpacked_len.saturating_sub(bytes.len() as u64))?;
    let root =
        folder(&archive).ok_or_else(|| wrong(kind, PICKLE, "one entry of this name", "none, or several"))?;
    let entry = |name: &str| archive.read(&format!("{root}{name}"));
    let big_endian = match entry("byteorder")?.as_deref() {
        None | Some(b"little") => false,
        Some(b"big") => true,
        Some(other) => return Err(wrong(kind, "byteorder", "little or big", escaped(other))),
    };
    let data = entry(PICKLE)?.unwrap_or_default();
    let mut stream = Cursor::new(kind, &data, 0);
    let pickle = pickle::run(&mut stream, &mut allowance, false).map_err(|error| match error {
        // TorchScript archives also have a pickle of this name, with objects whose classes are defined in `code/`.
        Error::ForbiddenGlobal { global, .. } if global.starts_with("__torch__.") => {
            wrong(kind, PICKLE, "saved tensors", format!("a TorchScript program, of `{global}`"))
        }
        other => other,
    })?;
    stream.finish()?;
    let mut storages = BTreeMap::new();
    for name in archive.names() {
        if let Some(key) = name.strip_prefix(root).and_then(|name| name.strip_prefix("data/")) {
            storages.insert(key, archive.read(name)?.unwrap_or_default());
        }
    }
    let find = |key: &str| storages.get(key).map(Cow::as_ref);
    let mut walk = Walk::new(kind, &pickle, Storages { find: &find, big_endian }, allowance);
    let options = walk.value(pickle.root, 0)?.unwrap_or_default();
    Checkpoint { kind, class_name: None, arrays: walk.arrays, options }.with_unique_names()
}

/// The folder that contains everything, with its slash.
fn folder<'r>(archive: &'r Archive<'_>) -> Option<&'r str> {
    let mut folders = archive.names().filter_map(|name| {
        let folder = name.strip_suffix(PICKLE)?;
        let inner = folder.strip_suffix('/')?;
        (!inner.contains('/')).then_some(folder)
    });
    folders.next().filter(|_| folders.next().is_none())
}

/// Whether an archive was written by torch.
pub(crate) fn is_torch_zip(archive: &Archive<'_>) -> bool {
    folder(archive).is_some()
}
