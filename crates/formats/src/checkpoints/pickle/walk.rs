//! Converts nodes to named arrays and options: walks dictionaries and lists and joins their keys by dots. Tensors become
//! arrays; everything else becomes options.
//!
//! A pickle can share its parts, so a walk can be far longer than the pickle. Visits are therefore counted, and arrays are
//! spent from the allowance before they are made.

use std::borrow::Cow;

use super::{Id, MAX_DEPTH, Node, Pickle, Storage, global::Global, reference::Reference, scalar};
use crate::{
    allowance::Allowance,
    error::{Error, Format, Result, escaped_name},
    strided::Strided,
    tensor::{NamedArray, push_key},
    value::Value,
};

/// torch's limit on dimensions.
const MAX_DIMS: usize = 64;

/// The storages that the pickle refers to but does not embed.
pub(crate) struct Storages<'w> {
    /// The bytes of the storage with a key.
    pub(crate) find: &'w dyn Fn(&str) -> Option<&'w [u8]>,
    /// Whether the elements are big-endian.
    pub(crate) big_endian: bool,
}

pub(crate) struct Walk<'w, 'a> {
    pub(super) pickle: &'w Pickle<'a>,
    format: Format,
    storages: Storages<'w>,
    pub(super) allowance: Allowance,
    visits: usize,
    /// The keys of the current value, joined by dots.
    path: String,
    pub(crate) arrays: Vec<NamedArray>,
}

impl<'w, 'a> Walk<'w, 'a> {
    /// A walk over a pickle, with the rest of the file's allowance.
    pub(crate) fn new(
        format: Format,
        pickle: &'w Pickle<'a>,
        storages: Storages<'w>,
        allowance: Allowance,
    ) -> Self {
        // Every value takes at least one byte, and is visited once if nothing is shared.
        let visits = pickle.source.len() + 1024;
        Self { pickle, format, storages, allowance, visits, path: String::new(), arrays: Vec::new() }
    }

    /// Counts `n` visits.
    pub(super) fn visit(&mut self, n: usize) -> Result<()> {
        let limit = self.pickle.source.len() as u64;
        self.visits = self.visits.checked_sub(n).ok_or(Error::Unfolds { format: self.format, limit })?;
        Ok(())
    }

    /// Collects the arrays in a value, and returns the rest of the value as an option. The caller has counted the visit.
    pub(crate) fn value(&mut self, id: Id, depth: usize) -> Result<Option<Value>> {
        if depth > MAX_DEPTH {
            let offset = self.pickle.source.len() as u64;
            return Err(Error::TooDeep { format: self.format, offset, limit: MAX_DEPTH });
        }
        let pickle = self.pickle;
        Ok(match pickle.node(id) {
            Node::None => Some(Value::Null),
            Node::Bool(v) => Some(Value::Bool(v)),
            Node::Int(v) => Some(Value::Int(v)),
            Node::Float(v) => Some(Value::Float(v)),
            Node::Text(_) => {
                let text = pickle.text(id).unwrap_or_default();
                self.allowance.spend(text.len() as u64)?;
                Some(Value::Text(text.to_owned()))
            }
            Node::Long(place) => Some(self.long(pickle.long(place))?),
            Node::Dict(pairs) => self.map(pickle.pairs(pairs), depth)?,
            Node::List(items) | Node::Tuple(items) | Node::Set(items) => {
                self.list(pickle.items(items), depth)?
            }
            Node::Call { global: Global::NumpyScalar, args, .. } => scalar::value(pickle, args),
            Node::Call { global: Global::Persistent | Global::ModuleDict, .. } => {
                self.module(id, depth)?;
                None
            }
            Node::Call {
                global: Global::RebuildTensor | Global::RebuildTensorV2 | Global::RebuildParameter,
                ..
            } => {
                self.tensor(id)?;
                None
            }
            // Bytes, storages without a tensor and types cannot be options.
            Node::Bytes(_) | Node::Global(_) | Node::Call { .. } | Node::Persistent(_) | Node::Storage(_) => {
                None
            }
        })
    }

    /// A whole number that is too large for an option, as hexadecimal text.
    fn long(&mut self, bytes: &[u8]) -> Result<Value> {
        let len = 2 + 2 * bytes.len();
        self.allowance.spend(len as u64)?;
        let mut hex = String::with_capacity(len);
        hex.push_str("0x");
        let digits = bytes.iter().rev().flat_map(|b| [b >> 4, b & 15]);
        hex.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
        Ok(Value::Text(hex))
    }

    fn map(&mut self, pairs: &[[Id; 2]], depth: usize) -> Result<Option<Value>> {
        self.visit(pairs.len())?;
        self.allowance.spend_on::<(String, Value)>(pairs.len())?;
        let mut options = Vec::with_capacity(pairs.len());
        for &[key, value] in pairs {
            let key = self.key(key)?;
            self.spend_key(&key)?;
            if let Some(value) = self.below(&key, |walk| walk.value(value, depth + 1))? {
                options.push((key.into_owned(), value));
            }
        }
        Ok((pairs.is_empty() || !options.is_empty()).then_some(Value::Map(options)))
    }

    fn list(&mut self, items: &[Id], depth: usize) -> Result<Option<Value>> {
        self.visit(items.len())?;
        self.allowance.spend_on::<Value>(items.len())?;
        let mut options = Vec::with_capacity(items.len());
        for (i, &item) in items.iter().enumerate() {
            options.extend(self.below(&i.to_string(), |walk| walk.value(item, depth + 1))?);
        }
        Ok((items.is_empty() || !options.is_empty()).then_some(Value::List(options)))
    }

    /// Spends the copies of a key: one for an option and one for the path, whose capacity may have just doubled. The file may
    /// contain the key once and use it often.
    pub(super) fn spend_key(&mut self, key: &str) -> Result<()> {
        self.allowance.spend_on::<[u8; 3]>(key.len())
    }

    /// Runs `walk` with a key added to the path.
    pub(super) fn below<T>(&mut self, key: &str, walk: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let len = push_key(&mut self.path, key);
        let result = walk(self);
        self.path.truncate(len);
        result
    }

    fn key(&self, id: Id) -> Result<Cow<'w, str>> {
        match self.pickle.node(id) {
            Node::Int(n) => Ok(n.to_string().into()),
            Node::Text(_) => Ok(self.pickle.text(id).unwrap_or_default().into()),
            other => Err(self.wrong("keys that are texts or whole numbers", other.kind())),
        }
    }

    /// Adds the array of a tensor or parameter.
    pub(super) fn tensor(&mut self, id: Id) -> Result<()> {
        let Node::Call { global, args, .. } = self.pickle.node(id) else {
            return Err(self.wrong("a tensor", self.pickle.node(id).kind()));
        };
        let pickle = self.pickle;
        match (global, pickle.tuple(args)) {
            // An argument was created before the call, so the recursion ends.
            (Global::RebuildParameter, Some([tensor, _, _])) => self.tensor(*tensor),
            (Global::RebuildTensor, Some(&[storage, offset, shape, strides]))
            | (Global::RebuildTensorV2, Some(&[storage, offset, shape, strides, _, _]))
            | (Global::RebuildTensorV2, Some(&[storage, offset, shape, strides, _, _, _])) => {
                self.rebuild(storage, offset, shape, strides)
            }
            _ => Err(self.wrong("a tensor", pickle.node(id).kind())),
        }
    }

    fn rebuild(&mut self, storage: Id, offset: Id, shape: Id, strides: Id) -> Result<()> {
        let (Some(offset), Some(shape), Some(strides)) =
            (self.pickle.count(offset), self.counts(shape), self.counts(strides))
        else {
            return Err(self.wrong("offset, extents and strides", "other values"));
        };
        if shape.len() != strides.len() {
            return Err(
                self.wrong("as many strides as extents", format!("{} of {}", strides.len(), shape.len()))
            );
        }
        let Storage { dtype, data } = self.storage(storage)?;
        let view = Strided { shape: &shape, strides: &strides, offset, size: dtype.size() };
        if view.end().is_none_or(|end| end > data.len()) {
            let expected = format!("a view within the {} elements of its storage", data.len() / dtype.size());
            return Err(
                self.wrong(&expected, format!("shape {shape:?}, strides {strides:?}, offset {offset}"))
            );
        }
        let len = view.byte_len().unwrap_or(usize::MAX);
        self.allowance.spend(NamedArray::memory(len, &self.path, &shape))?;
        let data = view.gather(data).ok_or_else(|| self.wrong("a view within its storage", "another"))?;
        let mut data = data.into_owned();
        if self.storages.big_endian && dtype.size() > 1 {
            data.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
        }
        self.arrays.push(NamedArray { name: self.name(), dtype, shape, data });
        Ok(())
    }

    fn storage(&self, id: Id) -> Result<Storage<'w>>
    where
        'a: 'w,
    {
        let tuple = match self.pickle.node(id) {
            Node::Storage(place) => return Ok(self.pickle.storage(place)),
            Node::Persistent(tuple) => tuple,
            other => return Err(self.wrong("a tensor of a storage", other.kind())),
        };
        let Some(reference) = Reference::parse(self.pickle, tuple) else {
            return Err(self.wrong("a reference to a storage", self.pickle.node(tuple).kind()));
        };
        let data = (self.storages.find)(reference.key).ok_or_else(|| Error::MissingStorage {
            format: self.format,
            tensor: escaped_name(&self.name()),
            key: escaped_name(reference.key),
        })?;
        if data.len() as u64 != reference.byte_len() {
            let expected = format!("a storage of {} bytes", reference.byte_len());
            return Err(
                self.wrong(&expected, format!("{}, in `{}`", data.len(), escaped_name(reference.key)))
            );
        }
        reference.part(data).ok_or_else(|| self.wrong("a view within its storage", "one past its end"))
    }

    fn counts(&self, id: Id) -> Option<Vec<usize>> {
        let items = self.pickle.tuple(id)?;
        if items.len() > MAX_DIMS {
            return None;
        }
        items.iter().map(|item| self.pickle.count(*item)).collect()
    }

    fn name(&self) -> String {
        if self.path.is_empty() { "tensor".to_owned() } else { self.path.clone() }
    }

    pub(super) fn wrong(&self, expected: &str, got: impl Into<String>) -> Error {
        Error::Part {
            format: self.format,
            part: escaped_name(&self.name()),
            expected: expected.to_owned(),
            got: got.into(),
        }
    }
}
