//! Detects the format of a model file from its bytes. The file's name is not used.

use crate::{
    archive::{Archive, is_archive},
    checkpoints::{
        edm_pickle::read_edm_pickle,
        flax::{is_msgpack_map, read_flax},
        safetensors::{is_safetensors, read_safetensors},
        torch_legacy::{is_torch_legacy, read_torch_legacy},
        torch_zip::{is_torch_zip, read_torch_zip},
    },
    error::{Error, Format, Result, escaped},
    npy::{is_npy, read_npy},
    npz::read_npz,
    tensor::Checkpoint,
    value::Value,
};

/// Detects the format of a model file.
///
/// # Errors
/// [`Error::Unrecognised`] if the bytes begin like none of the formats; for an archive, also the errors of its directory.
pub fn sniff(bytes: &[u8]) -> Result<Format> {
    if is_archive(bytes) {
        let archive = Archive::open(Format::Npz, bytes)?;
        return Ok(if is_torch_zip(&archive) { Format::TorchZip } else { Format::Npz });
    }
    let kinds = [
        (is_npy(bytes), Format::Npy),
        (is_torch_legacy(bytes), Format::TorchLegacy),
        // Before pickles: the length of a header may have the first bytes of one. No pickle has a length's zeros.
        (is_safetensors(bytes), Format::Safetensors),
        (is_pickle(bytes), Format::EdmPickle),
        (is_msgpack_map(bytes), Format::FlaxMsgpack),
    ];
    let found = kinds.into_iter().find_map(|(is, kind)| is.then_some(kind));
    found.ok_or_else(|| Error::Unrecognised { start: escaped(&bytes[..bytes.len().min(16)]) })
}

/// Reads a model file of any format.
///
/// # Errors
/// [`Error::Unrecognised`], and the errors of the format's reader.
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

/// Whether the bytes look like a pickle. Protocols from 2 on begin with their number; older pickles begin with an opcode
/// and end with the stop opcode.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 0..=5, _, ..] | [b'(' | b'c' | b']' | b'}' | b')' | b'd' | b'l' | b'i', .., b'.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safetensors_of_every_length_are_safetensors() {
        let text = r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
        for len in text.len()..5000 {
            let header = format!("{text:len$}");
            // The last byte ends old pickles.
            let file = [&(len as u64).to_le_bytes()[..], header.as_bytes(), b"."].concat();
            assert_eq!(sniff(&file).unwrap(), Format::Safetensors, "{len}");
            assert_eq!(read_checkpoint(&file).unwrap().arrays.len(), 1);
        }
    }
}
