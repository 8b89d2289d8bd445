//! Reading, straight into new tensors.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use safetensors::tensor::Metadata;
use tch::Device;

use super::{CARD, LENGTH, LONGEST_HEADER, SafetensorsFile, kind_of};
use crate::error::{Error, LONGEST_QUOTE, Result, escaped};
use crate::values::from_pieces;

/// Reads a safetensors file, onto the CPU.
///
/// # Errors
/// The file cannot be read or is not well formed; the error names the path.
pub fn load(path: &Path) -> Result<SafetensorsFile> {
    let (file, size) = open(path)?;
    read(BufReader::new(file), size, &path.display().to_string(), Device::Cpu)
}

/// The project's own metadata text of a safetensors file. Reads only the header.
///
/// # Errors
/// The file cannot be read or its header is not well formed; the error names the path.
pub fn load_card(path: &Path) -> Result<Option<String>> {
    let (mut file, size) = open(path)?;
    let header = Header::read(&mut file, size, &path.display().to_string())?.header;
    Ok(header.metadata().as_ref().and_then(|metadata| metadata.get(CARD).cloned()))
}

/// Reads a safetensors file from memory; `what` names the file in errors.
///
/// # Errors
/// The bytes are not a well-formed safetensors file.
pub fn parse(bytes: &[u8], what: &str) -> Result<SafetensorsFile> {
    read(bytes, bytes.len() as u64, what, Device::Cpu)
}

/// Reads a safetensors file of `size` bytes from a stream, onto a device; `what` names the file in errors. Nothing is
/// allocated for tensors before the header says that they are of this size together.
///
/// # Errors
/// The stream cannot be read, or is not a well-formed safetensors file; libtorch cannot allocate.
pub fn read(mut from: impl Read, size: u64, what: &str, device: Device) -> Result<SafetensorsFile> {
    let bad = |reason: String| Error::Format { what: what.to_owned(), reason };
    let Header { header, length } = Header::read(&mut from, size, what)?;
    let values = LENGTH as u64 + length + header.data_len() as u64;
    if values != size {
        return Err(bad(format!("the header tells of {values} bytes, the file has {size}")));
    }
    let mut tensors = HashMap::new();
    // In the order of their values, which follow each other without gaps: `Metadata` has checked it.
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else { continue };
        let kind = kind_of(info.dtype).ok_or_else(|| {
            bad(format!("tensor `{}` has unsupported type {:?}", escaped(&name, LONGEST_QUOTE), info.dtype))
        })?;
        let shape: Vec<i64> = info.shape.iter().map(|&d| d as i64).collect();
        let tensor = from_pieces(&shape, kind, device, |piece| {
            from.read_exact(piece).map_err(|e| bad(format!("cannot be read to its end: {e}")))
        })?;
        tensors.insert(name, tensor);
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    Ok(SafetensorsFile { tensors, card: metadata.get(CARD).cloned(), metadata })
}

fn open(path: &Path) -> Result<(File, u64)> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    Ok((file, size))
}

/// What a file begins with.
struct Header {
    header: Metadata,
    /// Bytes of its text.
    length: u64,
}

impl Header {
    fn read(from: &mut impl Read, size: u64, what: &str) -> Result<Self> {
        let bad = |reason: String| Error::Format { what: what.to_owned(), reason };
        let mut start = [0; LENGTH];
        from.read_exact(&mut start).map_err(|_| bad(format!("has {size} bytes, less than a header")))?;
        let length = u64::from_le_bytes(start);
        if length > LONGEST_HEADER || length > size.saturating_sub(LENGTH as u64) {
            return Err(bad(format!("claims a header of {length} bytes, has {size} in all")));
        }
        let mut text = vec![0; length as usize];
        from.read_exact(&mut text).map_err(|e| bad(format!("the header cannot be read: {e}")))?;
        let header = serde_json::from_slice(&text)
            .map_err(|e| bad(format!("invalid header: {}", escaped(&e.to_string(), LONGEST_QUOTE))))?;
        Ok(Self { header, length })
    }
}
