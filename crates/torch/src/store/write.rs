//! Writing, straight from the tensors' memory.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use fewstep_files::{AtomicFile, Digest, Hasher};
use safetensors::tensor::{Metadata, TensorInfo};
use tch::Tensor;

use super::{CARD, LENGTH, LONGEST_HEADER, dtype_of};
use crate::error::{Error, Result};
use crate::values::for_each_piece;

/// What was written: enough to know the file again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Length of the file.
    pub bytes: u64,
    /// Digest of its contents, taken while they were written.
    pub digest: Digest,
}

/// Writes a safetensors file atomically: into a temporary file in the same folder, flushed to disk, then renamed. The same
/// input gives the same bytes, those of the `safetensors` crate.
///
/// # Errors
/// The folder is missing or read only, or the disk is full; a tensor's kind does not exist in the format. The error names the
/// path; an existing file stays as it was.
pub fn save(path: &Path, tensors: &[(String, Tensor)], card: Option<&str>) -> Result<Saved> {
    let plan = Layout::of(tensors, card)?;
    let failed = |source: std::io::Error| Error::Io { path: path.to_owned(), source };
    let mut file = AtomicFile::create(path).map_err(|e| failed(e.into()))?;
    let (mut hasher, mut bytes) = (Hasher::default(), 0);
    let mut put = |piece: &[u8]| {
        hasher.update(piece);
        bytes += piece.len() as u64;
        file.write_all(piece).map_err(failed)
    };
    put(&(plan.header.len() as u64).to_le_bytes())?;
    put(&plan.header)?;
    for tensor in plan.tensors {
        for_each_piece(tensor, &mut put)?;
    }
    file.commit().map_err(|e| failed(e.into()))?;
    Ok(Saved { bytes, digest: hasher.finish() })
}

/// A file before its values.
struct Layout<'a> {
    /// Padded with spaces, so that the values are aligned.
    header: Vec<u8>,
    /// In the order of their values.
    tensors: Vec<&'a Tensor>,
}

impl<'a> Layout<'a> {
    fn of(tensors: &'a [(String, Tensor)], card: Option<&str>) -> Result<Self> {
        let bad = |name: &str, reason: String| Error::Format { what: format!("tensor `{name}`"), reason };
        let mut entries = Vec::with_capacity(tensors.len());
        for (name, t) in tensors {
            let dtype = dtype_of(t.f_kind()?).ok_or_else(|| bad(name, format!("kind {:?}", t.kind())))?;
            entries.push((name, dtype, t));
        }
        // The format's order: widest kinds first, so that all are aligned, then by name.
        entries.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let mut end = 0;
        let mut infos = Vec::with_capacity(entries.len());
        for &(name, dtype, t) in &entries {
            let start = end;
            end += t.numel() * t.kind().elt_size_in_bytes();
            let shape = t.size().iter().map(|&d| d as usize).collect();
            infos.push((name.clone(), TensorInfo { dtype, shape, data_offsets: (start, end) }));
        }
        let whole = |reason: String| Error::Format { what: "safetensors".into(), reason };
        let metadata = card.map(|card| HashMap::from([(CARD.to_owned(), card.to_owned())]));
        let metadata = Metadata::new(metadata, infos).map_err(|e| whole(e.to_string()))?;
        let mut header = serde_json::to_vec(&metadata).map_err(|e| whole(e.to_string()))?;
        header.resize(header.len().next_multiple_of(LENGTH), b' ');
        if header.len() as u64 > LONGEST_HEADER {
            return Err(whole(format!("the header would have {} bytes", header.len())));
        }
        Ok(Self { header, tensors: entries.into_iter().map(|(_, _, t)| t).collect() })
    }
}
