//! EDM pickles: networks of persistent classes, as EDM, EDM2 and StyleGAN publish them.
//!
//! The file is one pickle of a dictionary, whose entry `ema` is the network to use. A persistent class is pickled as a
//! call with its source code, its name and its attributes; the source is not looked at. Arrays are the module's
//! `state_dict`: parameters and persistent buffers, through all modules within. Each storage lies in the pickle as a
//! file of the old torch format, whose pickles go through the same restricted machine.

use crate::{
    allowance::Allowance,
    checkpoints::pickle::{
        self, Id, Pickle,
        walk::{Storages, Walk},
    },
    cursor::Cursor,
    error::{Error, Format, Result, shown_name},
    tensor::Checkpoint,
};

/// The entry that published files are read for.
pub const DEFAULT_ENTRY: &str = "ema";

/// The network under [`DEFAULT_ENTRY`], or the network that is all of the file.
///
/// Its class is [`Checkpoint::class_name`], the keyword arguments it was made with are the options.
///
/// # Errors
/// [`Error::ForbiddenGlobal`] for a pickle that names any global tensors do not need, here or in a storage;
/// [`Error::Part`] for a missing entry, module or tensor, and what else a pickle can be wrong in.
pub fn read_edm_pickle(bytes: &[u8]) -> Result<Checkpoint> {
    read_edm_pickle_entry(bytes, DEFAULT_ENTRY)
}

/// The network under another entry of the dictionary.
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
    Checkpoint { kind, class_name, arrays: walk.arrays, options }.named_apart()
}

fn find(pickle: &Pickle<'_>, entry: &str) -> Result<Id> {
    pickle.entry(pickle.root, entry).ok_or_else(|| {
        let keys = pickle.dict(pickle.root).unwrap_or_default();
        let keys: Vec<_> =
            keys.iter().take(8).filter_map(|[key, _]| pickle.text(*key).map(shown_name)).collect();
        Error::Part {
            format: Format::EdmPickle,
            part: shown_name(entry),
            expected: "an entry of this name".to_owned(),
            got: if keys.is_empty() { pickle.node(pickle.root).kind() } else { keys.join(", ") },
        }
    })
}
