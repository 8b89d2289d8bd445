//! Which kind of model file it is, from its bytes; a file's name says nothing.

use crate::{
    archive::{Archive, is_archive},
    checkpoints::{
        edm_pickle::read_edm_pickle,
        flax::{is_msgpack_map, read_flax},
        safetensors::{is_safetensors, read_safetensors},
        torch_legacy::{is_torch_legacy, read_torch_legacy},
        torch_zip::{is_torch_zip, read_torch_zip},
    },
    error::{Error, Format, Result, shown},
    npy::{is_npy, read_npy},
    npz::read_npz,
    tensor::Checkpoint,
    value::Value,
};

/// The kind of a model file.
///
/// # Errors
/// [`Error::Unrecognised`] when the bytes begin like none of the formats; for an archive, also what its directory can be
/// wrong in.
pub fn sniff(bytes: &[u8]) -> Result<Format> {
    if is_archive(bytes) {
        let archive = Archive::open(Format::Npz, bytes)?;
        return Ok(if is_torch_zip(&archive) { Format::TorchZip } else { Format::Npz });
    }
    let kinds = [
        (is_npy(bytes), Format::Npy),
        (is_torch_legacy(bytes), Format::TorchLegacy),
        (is_pickle(bytes), Format::EdmPickle),
        (is_safetensors(bytes), Format::Safetensors),
        (is_msgpack_map(bytes), Format::FlaxMsgpack),
    ];
    let found = kinds.into_iter().find_map(|(is, kind)| is.then_some(kind));
    found.ok_or_else(|| Error::Unrecognised { start: shown(&bytes[..bytes.len().min(16)]) })
}

/// The contents of a model file of any kind.
///
/// # Errors
/// [`Error::Unrecognised`], and what the reader of its kind can find wrong.
pub fn read_checkpoint(bytes: &[u8]) -> Result<Checkpoint> {
    match sniff(bytes)? {
        Format::TorchZip => read_torch_zip(bytes),
        Format::TorchLegacy => read_torch_legacy(bytes),
        Format::EdmPickle => read_edm_pickle(bytes),
        Format::Safetensors => read_safetensors(bytes),
        Format::FlaxMsgpack => read_flax(bytes),
        Format::Npz => read_npz(bytes),
        _ => {
            let arrays = vec![read_npy(bytes)?];
            Ok(Checkpoint { kind: Format::Npy, class_name: None, arrays, options: Value::Null })
        }
    }
}

/// Protocols from 2 on begin with their number; older ones with an opcode, and all end with a stop.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 0..=5, _, ..] | [b'(' | b'c' | b']' | b'}' | b')' | b'd' | b'l' | b'i', .., b'.'])
}
