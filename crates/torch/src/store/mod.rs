//! safetensors files: written atomically, and checked when read.
//!
//! A file is written straight from the tensors, and read straight into new ones, a few megabytes at a time: no copy of the
//! whole file is ever in memory. The `safetensors` crate describes the header; it cannot be asked for the digest of what it
//! writes, nor to have it on disk before it is renamed.
//!
//! All metadata is one JSON text under one key: the format's metadata is an unordered map, and a file made twice from the
//! same state must have the same bytes.

mod read;
mod write;

use std::collections::HashMap;

use safetensors::tensor::Dtype;
use tch::{Kind, Tensor};

pub use read::{load, load_card, parse, read};
pub use write::{Saved, save};

/// The metadata key of the project's text.
const CARD: &str = "fewstep";
/// Bytes of the length field of the header, which a file begins with.
const LENGTH: usize = 8;
/// The format's own limit.
const LONGEST_HEADER: u64 = 100_000_000;

/// Contents of a safetensors file.
#[derive(Debug)]
pub struct SafetensorsFile {
    /// Tensors by name.
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use fewstep_files::Digest;
    use safetensors::tensor::TensorView;

    use super::*;
    use crate::raw_bytes;

    /// The file as the `safetensors` crate makes it.
    fn to_bytes(tensors: &[(String, Tensor)], card: Option<&str>) -> Vec<u8> {
        let raw: Vec<_> = tensors.iter().map(|(_, t)| raw_bytes(t).unwrap()).collect();
        let views = tensors.iter().zip(&raw).map(|((name, t), bytes)| {
            let shape = t.size().iter().map(|&d| d as usize).collect();
            (name.as_str(), TensorView::new(dtype_of(t.kind()).unwrap(), shape, bytes).unwrap())
        });
        let metadata = card.map(|card| HashMap::from([(CARD.to_owned(), card.to_owned())]));
        safetensors::serialize(views, metadata).unwrap()
    }

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
        let saved = save(&path, &sample(), Some(r#"{"k":1}"#)).unwrap();
        let first = std::fs::read(&path).unwrap();
        assert_eq!(saved, Saved { bytes: first.len() as u64, digest: Digest::of(&first) });
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
    fn a_file_has_the_bytes_of_the_safetensors_crate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        // More than is copied at a time, an empty one, one without dimensions, and every kind.
        let mut tensors = sample();
        tensors.push(("large".into(), crate::counted(5_000_000, tch::Device::Cpu).unwrap()));
        tensors.push(("none".into(), Tensor::zeros([3, 0], (Kind::Float, tch::Device::Cpu))));
        tensors.push(("one".into(), Tensor::from(2.5f64)));
        for kind in [Kind::Half, Kind::Double, Kind::Int, Kind::Uint8, Kind::Bool] {
            tensors.push((format!("{kind:?}"), Tensor::from_slice(&[1i64, 0, 1]).to_kind(kind)));
        }
        for (tensors, card) in
            [(tensors.as_slice(), Some("{\"ü\":\"\\n\"}")), (&tensors[..1], None), (&[], None)]
        {
            save(&path, tensors, card).unwrap();
            assert!(std::fs::read(&path).unwrap() == to_bytes(tensors, card), "{} tensors", tensors.len());
            let back = load(&path).unwrap();
            assert_eq!((back.card.as_deref(), back.tensors.len()), (card, tensors.len()));
            for (name, t) in tensors {
                assert!(&back.tensors[name] == t, "{name}");
            }
        }
    }

    #[test]
    fn damage_is_named_and_never_a_panic() {
        let bytes = to_bytes(&sample(), Some("{}"));
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
