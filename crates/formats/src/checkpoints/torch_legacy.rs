//! The format of `torch.save` before torch 1.6, and later with `_use_new_zipfile_serialization=False`: pickles, then raw
//! storages (see `pickle::legacy`).

use crate::{
    allowance::Allowance,
    checkpoints::pickle::{
        legacy,
        walk::{Storages, Walk},
    },
    cursor::Cursor,
    error::{Format, Result},
    tensor::Checkpoint,
};

/// Whether the bytes begin like a file of this format.
pub fn is_torch_legacy(bytes: &[u8]) -> bool {
    legacy::begins(bytes)
}

/// Reads the tensors of a file. They are named by their keys joined with dots (`{"model": {"w": ...}}` gives `model.w`);
/// numbers and texts become options.
///
/// # Errors
/// [`Error::ForbiddenGlobal`](crate::Error::ForbiddenGlobal) for a pickle that names a global that tensors do not need;
/// [`Error::MissingStorage`](crate::Error::MissingStorage) and [`Error::Part`](crate::Error::Part) for a tensor outside its
/// storage; other errors for a malformed file.
pub fn read_torch_legacy(bytes: &[u8]) -> Result<Checkpoint> {
    let kind = Format::TorchLegacy;
    let mut allowance = Allowance::new(kind, bytes.len() as u64);
    let file = legacy::read(Cursor::new(kind, bytes, 0), &mut allowance, false)?;
    let storages = Storages { find: &|key| file.storages.get(key).copied(), big_endian: false };
    let mut walk = Walk::new(kind, &file.pickle, storages, allowance);
    let options = walk.value(file.pickle.root, 0)?.unwrap_or_default();
    Checkpoint { kind, class_name: None, arrays: walk.arrays, options }.with_unique_names()
}
