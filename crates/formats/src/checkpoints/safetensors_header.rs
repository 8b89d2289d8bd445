//! The header of a safetensors file: one JSON object of tensors, and of texts under `__metadata__`.
//!
//! The format's own crate would first build a tree of general values, which takes 48 times the header's size. This module
//! parses the header directly into its final types, and spends their memory from the allowance as it goes.

use std::fmt;

use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};

use crate::{allowance::Allowance, error::Error, tensor::NamedArray, value::Value};

const METADATA: &str = "__metadata__";
/// Limit on dimensions, as in torch and numpy.
const MAX_DIMS: usize = 64;

/// The contents of a header.
pub(crate) struct Header {
    /// The tensors. The format's own crate has checked that they follow each other without gap or overlap.
    pub(crate) tensors: Metadata,
    /// Names of the tensors, in the order of their data.
    pub(crate) names: Vec<String>,
    /// The metadata, sorted by key.
    pub(crate) options: Vec<(String, Value)>,
}

/// What is wrong with a header.
pub(crate) enum Fault {
    /// It is not a valid header.
    Wrong(String),
    /// It needs more memory than the allowance has.
    OverAllowance(Error),
}

/// Parses the header.
pub(crate) fn parse(text: &[u8], allowance: &mut Allowance) -> Result<Header, Fault> {
    let mut parts = Parts { allowance, over_allowance: None, tensors: Vec::new(), options: Vec::new() };
    let mut json = serde_json::Deserializer::from_slice(text);
    let parsed = Deserializer::deserialize_map(&mut json, &mut parts).and_then(|()| json.end());
    let Parts { over_allowance, mut tensors, mut options, .. } = parts;
    match (parsed, over_allowance) {
        (Ok(()), _) => {}
        (Err(_), Some(error)) => return Err(Fault::OverAllowance(error)),
        (Err(error), None) => return Err(Fault::Wrong(error.to_string())),
    }
    tensors.sort_unstable_by(|(a, left), (b, right)| (left.data_offsets, a).cmp(&(right.data_offsets, b)));
    options.sort_by(|(a, _), (b, _)| a.cmp(b));
    let n_tensors = tensors.len();
    let tensors = Metadata::new(None, tensors).map_err(|error| Fault::Wrong(error.to_string()))?;
    let names = tensors.offset_keys();
    if names.len() < n_tensors {
        return Err(Fault::Wrong("two tensors of one name".to_owned()));
    }
    Ok(Header { tensors, names, options })
}

/// The parts of a header that have been read.
struct Parts<'p> {
    allowance: &'p mut Allowance,
    /// The error of the allowance, if that stopped the parser.
    over_allowance: Option<Error>,
    tensors: Vec<(String, TensorInfo)>,
    options: Vec<(String, Value)>,
}

impl Parts<'_> {
    fn spend<E: serde::de::Error>(&mut self, bytes: u64) -> Result<(), E> {
        self.allowance.spend(bytes).map_err(|error| {
            let message = E::custom(&error);
            self.over_allowance = Some(error);
            message
        })
    }
}

impl<'de> Visitor<'de> for &mut Parts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                map.next_value_seed(Texts(self))?;
                continue;
            }
            let Info { dtype, shape: Extents(shape), data_offsets } = map.next_value()?;
            // Both the crate's own tables and the arrays are kept, in vectors and tables that may be half empty.
            let kept = 3 * size_of::<(String, TensorInfo)>() + 3 * size_of::<(String, usize)>();
            self.spend(kept as u64 + 2 * NamedArray::memory(name.len(), &name, &shape))?;
            self.tensors.push((name, TensorInfo { dtype, shape, data_offsets }));
        }
        Ok(())
    }
}

/// The texts under `__metadata__`.
struct Texts<'t, 'p>(&'t mut Parts<'p>);

impl<'de> DeserializeSeed<'de> for Texts<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, text)) = map.next_entry::<String, String>()? {
            // Three times, because the vector's capacity may be about to double.
            let pair = 3 * size_of::<(String, Value)>() + key.len() + text.len();
            self.0.spend(pair as u64)?;
            self.0.options.push((key, Value::Text(text)));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Info {
    dtype: Dtype,
    shape: Extents,
    data_offsets: (usize, usize),
}

struct Extents(Vec<usize>);

impl<'de> Deserialize<'de> for Extents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Counting)
    }
}

struct Counting;

impl<'de> Visitor<'de> for Counting {
    type Value = Extents;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the extents of a tensor")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Extents, A::Error> {
        let mut extents = Vec::new();
        while let Some(extent) = seq.next_element()? {
            if extents.len() == MAX_DIMS {
                return Err(A::Error::custom("more than 64 dimensions"));
            }
            extents.push(extent);
        }
        Ok(Extents(extents))
    }
}
