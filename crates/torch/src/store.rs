//! safetensors files: written atomically, and checked when read.
//!
//! All metadata is one JSON text under one key: the format's metadata is an unordered map, and a file made twice from the
//! same state must have the same bytes.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorView};
use tch::{Kind, Tensor};

use crate::error::{Error, LONGEST_QUOTE, Result, escaped};

/// The metadata key of the project's text.
const CARD: &str = "fewstep";
/// Bytes of the length field of the header, which a file begins with.
const LENGTH: usize = 8;
/// The format's own limit.
const LONGEST_HEADER: u64 = 100_000_000;

/// Contents of a safetensors file.
#[derive(Debug)]
pub struct SafetensorsFile {
    /// Tensors by name, on the CPU.
    pub tensors: HashMap<String, Tensor>,
    /// The project's own metadata text, if the file has one.
    pub card: Option<String>,
    /// All metadata.
    pub metadata: HashMap<String, String>,
}

fn dtype_of(kind: Kind) -> Option<Dtype> {
    Some(match kind {
        Kind::Float => Dtype::F32,
        Kind::Double => Dtype::F64,
        Kind::Half => Dtype::F16,
        Kind::BFloat16 => Dtype::BF16,
        Kind::Int64 => Dtype::I64,
        Kind::Int => Dtype::I32,
        Kind::Uint8 => Dtype::U8,
        Kind::Bool => Dtype::BOOL,
        _ => return None,
    })
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::U8 => Kind::Uint8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}

/// The bytes of a tensor's values in row-major order, in the machine's byte order. Digests of tensors use these bytes.
///
/// # Errors
/// libtorch cannot copy it to the CPU.
pub fn raw_bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let t = tensor.f_detach()?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
    let n = t.numel();
    let mut bytes = vec![0u8; n * t.kind().elt_size_in_bytes()];
    t.f_copy_data_u8(&mut bytes, n)?;
    Ok(bytes)
}

/// The bytes of a safetensors file with these tensors and `card` as metadata. The same input gives the same bytes.
///
/// # Errors
/// A tensor's kind does not exist in the format.
pub fn to_bytes(tensors: &[(String, Tensor)], card: Option<&str>) -> Result<Vec<u8>> {
    let bad = |name: &str, reason: String| Error::Format { what: format!("tensor `{name}`"), reason };
    let mut raw = Vec::with_capacity(tensors.len());
    for (name, t) in tensors {
        let dtype = dtype_of(t.kind()).ok_or_else(|| bad(name, format!("kind {:?}", t.kind())))?;
        raw.push((name, dtype, t.size().iter().map(|&d| d as usize).collect::<Vec<_>>(), raw_bytes(t)?));
    }
    let views = raw
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes)
                .map(|view| (name.as_str(), view))
                .map_err(|e| bad(name, e.to_string()))
        })
        .collect::<Result<Vec<_>>>()?;
    let metadata = card.map(|c| HashMap::from([(CARD.to_owned(), c.to_owned())]));
    safetensors::serialize(views, metadata)
        .map_err(|e| Error::Format { what: "safetensors".into(), reason: e.to_string() })
}

/// Writes a safetensors file atomically: into a temporary file in the same folder, flushed to disk, then renamed.
///
/// # Errors
/// The folder is missing or read only, or the disk is full. The error names the path; an existing file stays as it was.
pub fn save(path: &Path, tensors: &[(String, Tensor)], card: Option<&str>) -> Result<()> {
    let bytes = to_bytes(tensors, card)?;
    fewstep_files::write_atomically(path, &bytes)
        .map_err(|e| Error::Io { path: path.to_owned(), source: e.into() })
}

/// Reads a safetensors file.
///
/// # Errors
/// The file cannot be read or is not well formed; the error names the path.
pub fn load(path: &Path) -> Result<SafetensorsFile> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    parse(&bytes, &path.display().to_string())
}

/// The project's own metadata text of a safetensors file. Reads only the header.
///
/// # Errors
/// The file cannot be read or its header is not well formed; the error names the path.
pub fn load_card(path: &Path) -> Result<Option<String>> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let bad = |reason: String| Error::Format { what: path.display().to_string(), reason };
    let mut file = std::fs::File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut start = [0; LENGTH];
    file.read_exact(&mut start).map_err(|_| bad(format!("has {size} bytes, less than a header")))?;
    let claimed = u64::from_le_bytes(start);
    if claimed > LONGEST_HEADER || claimed > size.saturating_sub(LENGTH as u64) {
        return Err(bad(format!("claims a header of {claimed} bytes, has {size} in all")));
    }
    let mut header = Vec::new();
    file.take(claimed).read_to_end(&mut header).map_err(io)?;
    let header: Metadata = serde_json::from_slice(&header).map_err(|e| bad(e.to_string()))?;
    Ok(header.metadata().as_ref().and_then(|metadata| metadata.get(CARD).cloned()))
}

/// Reads a safetensors file from memory; `what` names the file in errors.
///
/// # Errors
/// The bytes are not a well-formed safetensors file.
pub fn parse(bytes: &[u8], what: &str) -> Result<SafetensorsFile> {
    let bad = |reason: String| Error::Format { what: what.to_owned(), reason };
    let (_, header) =
        SafeTensors::read_metadata(bytes).map_err(|e| bad(escaped(&e.to_string(), LONGEST_QUOTE)))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let file = SafeTensors::deserialize(bytes).map_err(|e| bad(escaped(&e.to_string(), LONGEST_QUOTE)))?;
    let mut tensors = HashMap::new();
    for (name, view) in file.tensors() {
        let kind = kind_of(view.dtype()).ok_or_else(|| {
            bad(format!("tensor `{}` has unsupported type {:?}", escaped(&name, LONGEST_QUOTE), view.dtype()))
        })?;
        let size: Vec<i64> = view.shape().iter().map(|&d| d as i64).collect();
        tensors.insert(name, Tensor::f_from_data_size(view.data(), &size, kind)?);
    }
    Ok(SafetensorsFile { tensors, card: metadata.get(CARD).cloned(), metadata })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<(String, Tensor)> {
        vec![
            ("b".into(), Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0]).view([2, 2]).transpose(0, 1)),
            ("a".into(), Tensor::from_slice(&[7i64])),
            ("c".into(), Tensor::from_slice(&[0.5f32]).to_kind(Kind::BFloat16)),
        ]
    }

    #[test]
    fn a_file_round_trips_and_repeats_to_the_byte() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        save(&path, &sample(), Some(r#"{"k":1}"#)).unwrap();
        let first = std::fs::read(&path).unwrap();
        save(&path, &sample(), Some(r#"{"k":1}"#)).unwrap();
        assert_eq!(first, std::fs::read(&path).unwrap());
        let back = load(&path).unwrap();
        assert_eq!(back.card.as_deref(), Some(r#"{"k":1}"#));
        assert_eq!(load_card(&path).unwrap(), back.card);
        for (name, t) in sample() {
            assert_eq!(back.tensors[&name], t, "{name}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn damage_is_named_and_never_a_panic() {
        let bytes = to_bytes(&sample(), Some("{}")).unwrap();
        for cut in 0..bytes.len() {
            assert!(parse(&bytes[..cut], "cut.safetensors").is_err(), "cut at {cut}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cut.safetensors");
        let header = bytes.len()
            - sample().iter().map(|(_, t)| t.numel() * t.kind().elt_size_in_bytes()).sum::<usize>();
        for cut in 0..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert_eq!(load_card(&path).is_ok(), cut >= header, "the card of a file cut at {cut}");
        }
        std::fs::write(&path, [255; 32]).unwrap();
        assert!(load_card(&path).unwrap_err().to_string().contains("cut.safetensors"));
        let e = parse(&[255; 32], "bad.safetensors").unwrap_err().to_string();
        assert!(e.contains("bad.safetensors"), "{e}");
        let missing = Path::new("no/such/folder/x.safetensors");
        assert!(save(missing, &sample(), None).unwrap_err().to_string().contains("no/such/folder"));
        assert!(load(missing).unwrap_err().to_string().contains("no/such/folder"));
    }
}
