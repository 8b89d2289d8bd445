//! EDM pickles: networks of persistent classes, as published by EDM, EDM2 and StyleGAN.
//!
//! The file is one pickle of a dictionary, whose entry `ema` is the network to use. A persistent class is pickled as a
//! call with its source code, its name and its attributes; this reader ignores the source. The arrays are the module's
//! `state_dict`: parameters and persistent buffers, also those of all submodules. Each storage is embedded in the pickle as
//! a file of the old torch format, whose pickles are read by the same restricted machine.

use crate::{
    allowance::Allowance,
    checkpoints::pickle::{
        self, Id, Pickle,
        walk::{Storages, Walk},
    },
    cursor::Cursor,
    error::{Error, Format, Result, escaped_name},
    tensor::Checkpoint,
};

/// The entry of published files that holds the network to use.
pub const DEFAULT_ENTRY: &str = "ema";

/// Reads the network under [`DEFAULT_ENTRY`], or the whole file if that is a network.
///
/// Its class is [`Checkpoint::class_name`], and the options are the keyword arguments of its constructor.
///
/// # Errors
/// [`Error::ForbiddenGlobal`] for a pickle that names a global that tensors do not need, in the file or in a storage;
/// [`Error::Part`] for a missing entry, module or tensor; other errors for a malformed pickle.
pub fn read_edm_pickle(bytes: &[u8]) -> Result<Checkpoint> {
    read_edm_pickle_entry(bytes, DEFAULT_ENTRY)
}

/// Reads the network under another entry of the dictionary.
///
/// # Errors
/// As for [`read_edm_pickle`].
pub fn read_edm_pickle_entry(bytes: &[u8], entry: &str) -> Result<Checkpoint> {
    let kind = Format::EdmPickle;
    let mut stream = Cursor::new(kind, bytes, 0);
    let mut allowance = Allowance::new(kind, bytes.len() as u64);
    let pickle = pickle::run(&mut stream, &mut allowance, false)?;
    stream.finish()?;
    let storages = Storages { find: &|_| None, big_endian: false };
    let mut walk = Walk::new(kind, &pickle, storages, allowance);
    let root = if walk.is_module(pickle.root) { pickle.root } else { find(&pickle, entry)? };
    let (class_name, options) = if walk.is_module(root) {
        walk.network(root)?
    } else {
        (None, walk.value(root, 0)?.unwrap_or_default())
    };
    Checkpoint { kind, class_name, arrays: walk.arrays, options }.with_unique_names()
}

fn find(pickle: &Pickle<'_>, entry: &str) -> Result<Id> {
    pickle.entry(pickle.root, entry).ok_or_else(|| {
        let keys = pickle.dict(pickle.root).unwrap_or_default();
        let keys: Vec<_> =
            keys.iter().take(8).filter_map(|[key, _]| pickle.text(*key).map(escaped_name)).collect();
        Error::Part {
            format: Format::EdmPickle,
            part: escaped_name(entry),
            expected: "an entry of this name".to_owned(),
            got: if keys.is_empty() { pickle.node(pickle.root).kind() } else { keys.join(", ") },
        }
    })
}
