//! The old format of `torch.save`, which is also the format of the storages in an EDM pickle:
//!
//! ```text
//! pickle  the magic number
//! pickle  1001, the version
//! pickle  a dictionary on the system that wrote the file
//! pickle  the object, which refers to its storages by key
//! pickle  a list of the storages' keys
//! i64 count and elements of each storage, in the order of the keys
//! ```

use std::collections::{BTreeMap, btree_map::Entry};

use super::{Node, Pickle, Storage, machine, reference::Reference};
use crate::{
    allowance::Allowance,
    cursor::Cursor,
    error::{Error, Result, escaped_name},
    tensor::DType,
};

const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const VERSION: i64 = 1001;
/// Memory factor of a `BTreeMap`, whose nodes may be half empty.
const IN_A_TREE: usize = 2;

/// Whether the bytes begin with a pickle of the magic number. The bytes before the number depend on the protocol.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    const FARTHEST: usize = 16;
    let start = &bytes[..bytes.len().min(FARTHEST + MAGIC.len())];
    start.first() == Some(&0x80) && start.windows(MAGIC.len()).any(|window| window == MAGIC)
}

/// A file of the old format.
pub(crate) struct Legacy<'a> {
    pub(crate) pickle: Pickle<'a>,
    /// The storages by key.
    pub(crate) storages: BTreeMap<String, &'a [u8]>,
}

/// Reads a file, which must extend to the end of the stream. `within` is set for a storage embedded in another pickle.
pub(crate) fn read<'a>(
    mut stream: Cursor<'a>,
    allowance: &mut Allowance,
    within: bool,
) -> Result<Legacy<'a>> {
    let mut head = |expected: &str, is: fn(&Pickle<'_>) -> bool| {
        allowance.lend(|allowance| {
            let at = stream.offset();
            let pickle = machine::run(&mut stream, allowance, within)?;
            let kind = || pickle.node(pickle.root).kind();
            if is(&pickle) { Ok(()) } else { Err(stream.malformed(at, expected, kind())) }
        })
    };
    head("torch's magic number", |pickle| match pickle.node(pickle.root) {
        Node::Long(place) => pickle.long(place) == MAGIC,
        _ => false,
    })?;
    head("version 1001", |pickle| matches!(pickle.node(pickle.root), Node::Int(VERSION)))?;
    head("a dictionary on the system", |pickle| pickle.dict(pickle.root).is_some())?;
    let pickle = machine::run(&mut stream, allowance, within)?;
    let keys = machine::run(&mut stream, allowance, within)?;
    let storages = read_storages(&mut stream, &pickle, &keys, allowance)?;
    stream.finish()?;
    Ok(Legacy { pickle, storages })
}

/// Reads a file that holds a single storage, as embedded in EDM pickles.
pub(crate) fn read_storage<'a>(stream: Cursor<'a>, allowance: &mut Allowance) -> Result<Storage<'a>> {
    let (start, nothing) = (stream.offset(), stream.clone());
    let Legacy { pickle, storages } = read(stream, allowance, true)?;
    let wrong = |got: String| nothing.malformed(start, "one storage", got);
    let Node::Persistent(tuple) = pickle.node(pickle.root) else {
        return Err(wrong(pickle.node(pickle.root).kind()));
    };
    let reference = Reference::parse(&pickle, tuple).ok_or_else(|| wrong("another object".to_owned()))?;
    let data = storages.get(reference.key).ok_or_else(|| Error::MissingStorage {
        format: nothing.format,
        tensor: "(a storage)".to_owned(),
        key: escaped_name(reference.key),
    })?;
    reference.part(data).ok_or_else(|| wrong("a view past its end".to_owned()))
}

fn read_storages<'a>(
    stream: &mut Cursor<'a>,
    pickle: &Pickle<'_>,
    keys: &Pickle<'_>,
    allowance: &mut Allowance,
) -> Result<BTreeMap<String, &'a [u8]>> {
    let references = references(stream, pickle, allowance)?;
    let Some(keys_in_order) = keys.list(keys.root) else {
        return Err(stream.malformed(stream.offset(), "a list of keys", keys.node(keys.root).kind()));
    };
    let mut storages = BTreeMap::new();
    for &key in keys_in_order {
        let at = stream.offset();
        let key = keys.text(key).ok_or_else(|| stream.malformed(at, "keys that are texts", "another"))?;
        let Some(&(dtype, expected)) = references.get(key) else {
            return Err(stream.malformed(
                at,
                "keys of storages that the object refers to",
                escaped_name(key),
            ));
        };
        let n = i64::from_le_bytes(stream.array("the length of a storage")?);
        if usize::try_from(n) != Ok(expected) {
            return Err(stream.malformed(at, &format!("a storage of {expected} elements"), n.to_string()));
        }
        let len = (expected as u64).saturating_mul(dtype.size() as u64);
        let data = stream.claimed(len, "a storage")?;
        allowance.spend_on::<(String, &[u8])>(IN_A_TREE)?;
        allowance.spend(key.len() as u64)?;
        if storages.insert(key.to_owned(), data).is_some() {
            return Err(stream.malformed(at, "every key once", format!("`{}` twice", escaped_name(key))));
        }
    }
    Ok(storages)
}

/// Type and number of elements of every storage that the object refers to, by key.
fn references<'p>(
    stream: &Cursor<'_>,
    pickle: &'p Pickle<'_>,
    allowance: &mut Allowance,
) -> Result<BTreeMap<&'p str, (DType, usize)>> {
    let mut references = BTreeMap::new();
    for node in pickle.nodes() {
        let Node::Persistent(tuple) = node else { continue };
        let at = stream.offset();
        let Some(reference) = Reference::parse(pickle, tuple) else {
            return Err(stream.malformed(at, "references to storages", pickle.node(tuple).kind()));
        };
        let claim = (reference.dtype, reference.len());
        match references.entry(reference.key) {
            Entry::Vacant(place) => {
                allowance.spend_on::<(&str, (DType, usize))>(IN_A_TREE)?;
                place.insert(claim);
            }
            Entry::Occupied(first) if *first.get() == claim => {}
            Entry::Occupied(_) => {
                let got = format!("two for `{}`", escaped_name(reference.key));
                return Err(stream.malformed(at, "one type and length for a storage", got));
            }
        }
    }
    Ok(references)
}
