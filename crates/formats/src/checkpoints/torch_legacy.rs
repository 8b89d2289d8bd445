//! `torch.save` before torch 1.6, and since with `_use_new_zipfile_serialization=False`: pickles, then raw storages (the
//! order is in `pickle::legacy`).

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

/// Whether the bytes begin as a file of this format does.
pub fn is_torch_legacy(bytes: &[u8]) -> bool {
    legacy::begins(bytes)
}

/// The tensors of a file, named by their keys joined with dots (`{"model": {"w": ...}}` gives `model.w`); numbers and
/// texts beside them are options.
///
/// # Errors
/// [`Error::ForbiddenGlobal`](crate::Error::ForbiddenGlobal) for a pickle that names any global tensors do not need,
/// [`Error::MissingStorage`](crate::Error::MissingStorage) and [`Error::Part`](crate::Error::Part) for a tensor that is
/// not in its storage, and what the format's other sizes and values can be wrong in.
pub fn read_torch_legacy(bytes: &[u8]) -> Result<Checkpoint> {
    let kind = Format::TorchLegacy;
    let mut allowance = Allowance::new(kind, bytes.len() as u64);
    let file = legacy::read(Cursor::new(kind, bytes, 0), &mut allowance, false)?;
    let storages = Storages { find: &|key| file.storages.get(key).copied(), big_endian: false };
    let mut walk = Walk::new(kind, &file.pickle, storages, allowance);
    let options = walk.value(file.pickle.root, 0)?.unwrap_or_default();
    Checkpoint { kind, class_name: None, arrays: walk.arrays, options }.named_apart()
}
