//! `torch.save` since torch 1.6: a zip archive with a pickle, `NAME/data.pkl`, and one entry a storage, `NAME/data/KEY`.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    allowance::Allowance,
    archive::{Archive, wrong},
    checkpoints::pickle::{
        self,
        walk::{Storages, Walk},
    },
    cursor::Cursor,
    error::{Error, Format, Result, shown},
    tensor::Checkpoint,
};

const PICKLE: &str = "data.pkl";

/// The tensors of a file, named by their keys joined with dots (`{"model": {"w": ...}}` gives `model.w`); numbers and
/// texts beside them are options.
///
/// # Errors
/// [`Error::ForbiddenGlobal`] for a pickle that names any global tensors do not need,
/// [`Error::MissingStorage`] and [`Error::Part`] for a tensor that is
/// not in its storage or an entry that is not as the archive says, and what else archive and pickle can be wrong in.
pub fn read_torch_zip(bytes: &[u8]) -> Result<Checkpoint> {
    let kind = Format::TorchZip;
    let archive = Archive::open(kind, bytes)?;
    // Stored entries stay in the file; unpacked ones are beside it. (torch stores all.)
    let mut allowance = Allowance::new(kind, bytes.len() as u64);
    allowance.spend(archive.unpacked_len.saturating_sub(bytes.len() as u64))?;
    let root =
        folder(&archive).ok_or_else(|| wrong(kind, PICKLE, "one entry of this name", "none, or several"))?;
    let entry = |name: &str| archive.read(&format!("{root}{name}"));
    let big_endian = match entry("byteorder")?.as_deref() {
        None | Some(b"little") => false,
        Some(b"big") => true,
        Some(other) => return Err(wrong(kind, "byteorder", "little or big", shown(other))),
    };
    let data = entry(PICKLE)?.unwrap_or_default();
    let mut stream = Cursor::new(kind, &data, 0);
    let pickle = pickle::run(&mut stream, &mut allowance, false).map_err(|error| match error {
        // TorchScript archives have a pickle of this name too, of objects whose classes lie in `code/`.
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
    Checkpoint { kind, class_name: None, arrays: walk.arrays, options }.named_apart()
}

/// The folder that everything is in, with its slash.
fn folder<'r>(archive: &'r Archive<'_>) -> Option<&'r str> {
    let mut folders = archive.names().filter_map(|name| {
        let folder = name.strip_suffix(PICKLE)?;
        let inner = folder.strip_suffix('/')?;
        (!inner.contains('/')).then_some(folder)
    });
    folders.next().filter(|_| folders.next().is_none())
}

/// Whether an archive is one of torch's.
pub(crate) fn is_torch_zip(archive: &Archive<'_>) -> bool {
    folder(archive).is_some()
}
