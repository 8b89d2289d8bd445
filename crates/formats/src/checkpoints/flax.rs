//! flax checkpoints: nested msgpack maps whose arrays are extensions. Names and layouts are kept as flax has them.
//!
//! An array is an extension of kind 1 (kind 3 for a numpy number) that holds another msgpack value: `[shape, name of the
//! element type, elements in C order]`. Arrays of a gigabyte or more, which flax splits into chunks, are refused.

use crate::{
    allowance::Allowance,
    checkpoints::msgpack::{self, Token},
    cursor::Cursor,
    error::{Error, Format, Result, escaped_name},
    tensor::{Checkpoint, DType, NamedArray, byte_len, push_key},
    value::Value,
};

const EXT_ARRAY: i8 = 1;
const EXT_NUMBER: i8 = 3;
const CHUNKED: &str = "__msgpack_chunked_array__";
/// flax networks are about ten levels deep.
const MAX_DEPTH: usize = 64;
const MAX_DIMS: usize = 64;

const DTYPES: [(&str, DType); 13] = [
    ("bool", DType::Bool),
    ("uint8", DType::U8),
    ("int8", DType::I8),
    ("uint16", DType::U16),
    ("int16", DType::I16),
    ("uint32", DType::U32),
    ("int32", DType::I32),
    ("uint64", DType::U64),
    ("int64", DType::I64),
    ("float16", DType::F16),
    ("bfloat16", DType::BF16),
    ("float32", DType::F32),
    ("float64", DType::F64),
];

/// Whether the bytes begin like a msgpack map with entries.
pub fn is_msgpack_map(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x81..=0x8f | 0xde | 0xdf))
}

/// Reads a checkpoint. Arrays are named by their keys joined with dots; numbers and texts become options.
///
/// # Errors
/// [`Error::PastEnd`] and [`Error::Unfinished`] for a stream that claims more than there is, [`Error::TooDeep`],
/// [`Error::Part`] for an array whose size does not match its shape, or with an unknown element type.
pub fn read_flax(bytes: &[u8]) -> Result<Checkpoint> {
    let kind = Format::FlaxMsgpack;
    let mut stream = Cursor::new(kind, bytes, 0);
    if !is_msgpack_map(bytes) && bytes.first() != Some(&0x80) {
        return Err(stream.malformed(0, "a map", crate::error::escaped(&bytes[..bytes.len().min(1)])));
    }
    let allowance = Allowance::new(kind, bytes.len() as u64);
    let mut walk = Walk { allowance, path: String::new(), arrays: Vec::new() };
    let options = walk.value(&mut stream, 0)?.unwrap_or_default();
    stream.finish()?;
    Checkpoint { kind, class_name: None, arrays: walk.arrays, options }.with_unique_names()
}

struct Walk {
    allowance: Allowance,
    /// The keys of the current value, joined by dots.
    path: String,
    arrays: Vec<NamedArray>,
}

impl Walk {
    fn value(&mut self, stream: &mut Cursor<'_>, depth: usize) -> Result<Option<Value>> {
        let at = stream.offset();
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep { format: stream.format, offset: at, limit: MAX_DEPTH });
        }
        Ok(match msgpack::next(stream)? {
            Token::Nil => Some(Value::Null),
            Token::Bool(v) => Some(Value::Bool(v)),
            Token::Int(v) => Some(Value::Int(v)),
            Token::Large(v) => Some(Value::Text(format!("{v:#x}"))),
            Token::Float(v) => Some(Value::Float(v)),
            Token::Text(v) => {
                self.allowance.spend(v.len() as u64)?;
                Some(Value::Text(v.to_owned()))
            }
            Token::Bytes(_) => None,
            Token::Array(n) => {
                self.allowance.spend_on::<Value>(n)?;
                let mut options = Vec::with_capacity(n);
                for i in 0..n {
                    options.extend(self.below(&i.to_string(), |walk| walk.value(stream, depth + 1))?);
                }
                (n == 0 || !options.is_empty()).then_some(Value::List(options))
            }
            Token::Map(n) => {
                self.allowance.spend_on::<(String, Value)>(n)?;
                let mut options = Vec::with_capacity(n);
                for _ in 0..n {
                    let at = stream.offset();
                    let key = match msgpack::next(stream)? {
                        Token::Text(CHUNKED) => return Err(self.wrong("a whole array", "one in chunks")),
                        Token::Text(key) => key.to_owned(),
                        Token::Int(key) => key.to_string(),
                        _ => return Err(stream.malformed(at, "keys that are texts", "another")),
                    };
                    // One copy for the option and one for the path, whose capacity may have just doubled.
                    self.allowance.spend_on::<[u8; 3]>(key.len())?;
                    if let Some(value) = self.below(&key, |walk| walk.value(stream, depth + 1))? {
                        options.push((key, value));
                    }
                }
                (n == 0 || !options.is_empty()).then_some(Value::Map(options))
            }
            Token::Ext(EXT_ARRAY | EXT_NUMBER, data) => {
                let start = stream.pos() - data.len();
                self.array(stream.within(data, start))?;
                None
            }
            Token::Ext(kind, _) => return Err(self.wrong("an array", format!("an extension of kind {kind}"))),
        })
    }

    /// Runs `walk` with a key added to the path.
    fn below<T>(&mut self, key: &str, walk: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let len = push_key(&mut self.path, key);
        let result = walk(self);
        self.path.truncate(len);
        result
    }

    fn array(&mut self, mut stream: Cursor<'_>) -> Result<()> {
        let wrong = |walk: &Self| walk.wrong("a shape, an element type and elements", "other values");
        let (Token::Array(3), Token::Array(n_dims)) =
            (msgpack::next(&mut stream)?, msgpack::next(&mut stream)?)
        else {
            return Err(wrong(self));
        };
        if n_dims > MAX_DIMS {
            return Err(self.wrong("at most 64 dimensions", n_dims.to_string()));
        }
        let mut shape = Vec::with_capacity(n_dims);
        for _ in 0..n_dims {
            let Token::Int(extent) = msgpack::next(&mut stream)? else { return Err(wrong(self)) };
            shape.push(usize::try_from(extent).map_err(|_| wrong(self))?);
        }
        let (Token::Text(name), Token::Bytes(data)) =
            (msgpack::next(&mut stream)?, msgpack::next(&mut stream)?)
        else {
            return Err(wrong(self));
        };
        stream.finish()?;
        let Some(&(_, dtype)) = DTYPES.iter().find(|(known, _)| *known == name) else {
            return Err(self.wrong("elements that are numbers", escaped_name(name)));
        };
        if byte_len(dtype, &shape) != Some(data.len()) {
            let got = format!("{} bytes for {shape:?} of {name}", data.len());
            return Err(self.wrong("as many bytes as the shape says", got));
        }
        self.allowance.spend(NamedArray::memory(data.len(), &self.path, &shape))?;
        self.arrays.push(NamedArray { name: self.path.clone(), dtype, shape, data: data.to_vec() });
        Ok(())
    }

    fn wrong(&self, expected: &str, got: impl Into<String>) -> Error {
        Error::Part {
            format: Format::FlaxMsgpack,
            part: escaped_name(&self.path),
            expected: expected.to_owned(),
            got: got.into(),
        }
    }
}
