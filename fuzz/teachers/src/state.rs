//! Tensors from lines `NAME EXTENTS [TYPE] [=VALUES]`, such as `out.2.bias 3`, `h 4,4 f16` or `betas 3 f32 =0.1,0.2,0.3`.
//! Values that are not given are 0.

use std::io::Write;

use fewstep_formats::{Checkpoint, DType, Format, NamedArray, Value};

use crate::request::Request;

/// Elements of all tensors together: a file of four megabytes.
const MOST: usize = 1 << 20;

/// The tensors of these lines; lines that are none are left out, and so is what goes beyond [`MOST`].
pub fn tensors<'t>(lines: impl Iterator<Item = &'t str>) -> Vec<NamedArray> {
    let mut left = MOST;
    lines.filter_map(|line| tensor(line, &mut left)).collect()
}

fn tensor(line: &str, left: &mut usize) -> Option<NamedArray> {
    let mut words = line.split(' ');
    let (name, extents) = (words.next()?.to_owned(), words.next()?);
    let shape: Vec<usize> = match extents {
        "-" => Vec::new(),
        some => some.split(',').map(|n| n.parse().ok()).collect::<Option<_>>()?,
    };
    // As a reader: no elements where an extent is 0, whatever the others are.
    let n = match shape.contains(&0) {
        true => 0,
        false => shape.iter().try_fold(1usize, |n, extent| n.checked_mul(*extent))?,
    };
    *left = left.checked_sub(n)?;
    let mut dtype = DType::F32;
    let mut values: &str = "";
    for word in words {
        match word.strip_prefix('=') {
            Some(list) => values = list,
            None => dtype = kind(word)?,
        }
    }
    let mut data = vec![0; n * dtype.size()];
    for (value, into) in values.split(',').zip(data.chunks_exact_mut(dtype.size())) {
        let Ok(value) = value.parse::<f64>() else { continue };
        match dtype {
            DType::F32 => into.copy_from_slice(&(value as f32).to_le_bytes()),
            DType::F64 => into.copy_from_slice(&value.to_le_bytes()),
            DType::I64 => into.copy_from_slice(&(value as i64).to_le_bytes()),
            _ => {}
        }
    }
    Some(NamedArray { name, dtype, shape, data })
}

fn kind(word: &str) -> Option<DType> {
    Some(match word {
        "f16" => DType::F16,
        "bf16" => DType::BF16,
        "f32" => DType::F32,
        "f64" => DType::F64,
        "i64" => DType::I64,
        "u8" => DType::U8,
        _ => return None,
    })
}

/// A checkpoint, and what is asked of it: a line of the request, a line of the options as JSON (or an empty one), and the
/// tensors.
pub fn checkpoint(text: &str) -> (Checkpoint, Request) {
    let mut lines = text.split('\n');
    let request = Request::of(lines.next().unwrap_or_default());
    let options = lines.next().unwrap_or_default();
    let options = serde_json::from_str(options).map_or(Value::Null, value);
    let arrays = tensors(lines);
    let kind = match (&request.class_name, request.is_flax) {
        (Some(_), _) => Format::EdmPickle,
        (None, true) => Format::FlaxMsgpack,
        (None, false) => Format::TorchZip,
    };
    (Checkpoint { kind, class_name: request.class_name.clone(), arrays, options }, request)
}

fn value(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(b),
        Json::Number(n) => {
            n.as_i64().map_or_else(|| Value::Float(n.as_f64().unwrap_or(f64::INFINITY)), Value::Int)
        }
        Json::String(text) => Value::Text(text),
        Json::Array(values) => Value::List(values.into_iter().map(value).collect()),
        Json::Object(pairs) => Value::Map(pairs.into_iter().map(|(key, v)| (key, value(v))).collect()),
    }
}

/// The tensors as a safetensors file, those that it can hold.
pub fn safetensors(arrays: &[NamedArray]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let (mut data, mut names) = (Vec::new(), std::collections::BTreeSet::new());
    for array in arrays {
        let dtype = match array.dtype {
            DType::F16 => "F16",
            DType::BF16 => "BF16",
            DType::F32 => "F32",
            DType::F64 => "F64",
            DType::I64 => "I64",
            DType::U8 => "U8",
            _ => continue,
        };
        if !names.insert(&array.name) {
            continue;
        }
        let offsets = [data.len(), data.len() + array.data.len()];
        let about = serde_json::json!({ "dtype": dtype, "shape": array.shape, "data_offsets": offsets });
        header.insert(array.name.clone(), about);
        data.extend_from_slice(&array.data);
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut file = Vec::with_capacity(8 + header.len() + data.len());
    file.extend_from_slice(&(header.len() as u64).to_le_bytes());
    file.write_all(header.as_bytes()).expect("memory takes all");
    file.extend_from_slice(&data);
    file
}
