//! safetensors files from untrusted sources, read with the format's own crate.
//!
//! The crate checks that tensors follow each other without gap or overlap. Its `deserialize` also adds the last offset,
//! which the file chooses, to the header's length, and panics on overflow if arithmetic is checked. So this module uses only
//! the crate's check, on a header that it reads with a bound on memory, and compares the lengths without adding.

use safetensors::Dtype;

use crate::{
    allowance::Allowance,
    checkpoints::safetensors_header::{self, Fault, Header},
    cursor::Cursor,
    error::{Error, Format, Result, escaped_name},
    tensor::{Checkpoint, DType, NamedArray},
    value::Value,
};

/// The crate's limit on the header.
const LONGEST_HEADER: u64 = 100_000_000;

/// Whether the bytes begin like a safetensors file: with a length that fits, and a JSON object.
pub fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((len, rest)) = bytes.split_first_chunk() else { return false };
    u64::from_le_bytes(*len) <= rest.len() as u64 && rest.first() == Some(&b'{')
}

/// Reads the tensors of a file in the order of their data. The metadata, which are texts, become options.
///
/// # Errors
/// [`Error::Malformed`] for a header that the format's own crate refuses; [`Error::PastEnd`], [`Error::Truncated`] and
/// [`Error::Excess`] for lengths that do not match the file; [`Error::Part`] for an element type that is not supported.
pub fn read_safetensors(bytes: &[u8]) -> Result<Checkpoint> {
    let kind = Format::Safetensors;
    let mut stream = Cursor::new(kind, bytes, 0);
    let len = u64::from_le_bytes(stream.array("the length of the header")?);
    let header = stream.claimed(len, "the header")?;
    if len > LONGEST_HEADER {
        return Err(Error::TooLarge { format: kind, limit: LONGEST_HEADER });
    }
    let mut allowance = Allowance::new(kind, bytes.len() as u64);
    let Header { tensors, names, options } =
        safetensors_header::parse(header, &mut allowance).map_err(|fault| match fault {
            Fault::Wrong(message) => stream.malformed(8, "a header of tensors", escaped_name(&message)),
            Fault::OverAllowance(error) => error,
        })?;
    let data = &bytes[stream.pos()..];
    if tensors.data_len() > data.len() {
        let expected = (stream.offset()).saturating_add(tensors.data_len() as u64);
        return Err(Error::Truncated { format: kind, expected, got: bytes.len() as u64 });
    }
    if tensors.data_len() < data.len() {
        return Err(Error::Excess { format: kind, expected: stream.offset() + tensors.data_len() as u64 });
    }
    let mut arrays = Vec::with_capacity(names.len());
    for name in names {
        let Some(info) = tensors.info(&name) else { continue };
        let part = |expected: &str, got: String| Error::Part {
            format: kind,
            part: escaped_name(&name),
            expected: expected.to_owned(),
            got,
        };
        let dtype = dtype(info.dtype)
            .ok_or_else(|| part("elements of a common type", format!("{:?}", info.dtype)))?;
        let (start, end) = info.data_offsets;
        let data = data.get(start..end).ok_or_else(|| part("data in the file", format!("{start}..{end}")))?;
        arrays.push(NamedArray { dtype, shape: info.shape.clone(), data: data.to_vec(), name });
    }
    let options = if options.is_empty() { Value::Null } else { Value::Map(options) };
    Checkpoint { kind, class_name: None, arrays, options }.with_unique_names()
}

fn dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::BOOL => DType::Bool,
        Dtype::U8 => DType::U8,
        Dtype::I8 => DType::I8,
        Dtype::U16 => DType::U16,
        Dtype::I16 => DType::I16,
        Dtype::U32 => DType::U32,
        Dtype::I32 => DType::I32,
        Dtype::U64 => DType::U64,
        Dtype::I64 => DType::I64,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn tensors_come_in_the_order_of_their_data() {
        let header = r#"{"__metadata__":{"case":"x"},"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]},
            "b":{"dtype":"I16","shape":[],"data_offsets":[0,2]}}"#;
        let read = read_safetensors(&file(header, &[1, 2, 3, 4])).unwrap();
        assert_eq!(read.arrays.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!((read.arrays[0].to_f64(), read.arrays[1].to_f64()), (vec![513.], vec![3., 4.]));
        assert_eq!(read.options.get("case").and_then(Value::as_text), Some("x"));
        assert!(matches!(read_safetensors(&file(header, &[0; 3])), Err(Error::Truncated { .. })));
        assert!(matches!(read_safetensors(&file(header, &[0; 5])), Err(Error::Excess { .. })));
    }

    #[test]
    fn offsets_that_reach_the_end_of_the_address_space_are_an_error() {
        // Eight tensors of 2^61 - 1 bytes and one of 7: the last offset is 2^64 - 1.
        let big = (1u64 << 61) - 1;
        let tensors: Vec<String> = (0..9)
            .map(|i| {
                let (start, len) = (i * big, if i < 8 { big } else { 7 });
                format!(r#""{i}":{{"dtype":"U8","shape":[{len}],"data_offsets":[{start},{}]}}"#, start + len)
            })
            .collect();
        let error = read_safetensors(&file(&format!("{{{}}}", tensors.join(",")), &[])).unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "{error}");
    }
}
