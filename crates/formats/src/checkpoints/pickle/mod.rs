//! A restricted pickle machine: reads protocols 0 to 5, as far as torch and numpy use them, as data.
//!
//! A pickle is a program for a stack machine, and Python's machine calls whatever the pickle names. This machine calls
//! nothing. It has a list of the globals that tensors need ([`global`]) and refuses any other global at the opcode that
//! names it. A call of a listed global pushes a [`Node`] that records the global and its arguments. [`walk`] interprets
//! these nodes: a tensor is a view of a storage, a module is a dictionary.
//!
//! Reading has two passes. The first ([`scan`]) only decodes. Before any node exists, it finds a stream that is truncated,
//! claims more than there is, or names a forbidden global in plain text (as protocols 0 to 3 do). It also counts what the
//! second pass will create, and this memory is spent from the allowance in advance: nodes of 16 bytes, in tables of the
//! counted size. Texts and bytes stay in the file, and nesting is limited while it is built.

mod call;
mod global;
pub(crate) mod legacy;
mod machine;
mod module;
mod opcode;
mod reference;
mod scalar;
mod scan;
mod stack;
pub(crate) mod walk;

pub(crate) use machine::run;

use std::{borrow::Cow, ops::Range};

use self::global::Global;
use crate::tensor::DType;

/// Limit on nesting. EDM's networks have up to 40 levels; Python's own limit is about 300.
pub(crate) const MAX_DEPTH: usize = 256;

/// Index of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(u32);

/// Index of a node's contents in the table for its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

/// A value that an opcode created.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number beyond 64 bits, in two's complement, little-endian.
    Long(Place),
    Float(f64),
    Text(Place),
    Bytes(Place),
    List(Place),
    Tuple(Place),
    Set(Place),
    Dict(Place),
    Global(Global),
    /// A call of an allowed global with arguments, and the state that was set afterwards.
    Call {
        global: Global,
        args: Id,
        state: Option<Id>,
    },
    /// A storage elsewhere in the file, and the tuple that refers to it.
    Persistent(Id),
    /// A storage embedded in the pickle.
    Storage(Place),
}

const _: () = assert!(size_of::<Node>() == 16, "a single byte of a pickle can create a node");

impl Node {
    /// The kind of value, for error messages.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Long(_) => "a whole number",
            Self::Float(_) => "a floating point number",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Set(_) => "a set",
            Self::Dict(_) => "a dictionary",
            Self::Global(global) => return format!("`{}` itself", global.name()),
            Self::Call { global, .. } => return format!("an object of `{}`", global.name()),
            Self::Persistent(_) | Self::Storage(_) => "a storage",
        }
        .to_owned()
    }
}

/// The elements of a storage, as they are in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storage<'a> {
    pub(crate) dtype: DType,
    pub(crate) data: &'a [u8],
}

/// The contents of a pickle. Only the machine makes ids and places, for entries that it has just added to these tables.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    /// The bytes that contain the pickle.
    source: &'a [u8],
    nodes: Vec<Node>,
    /// Texts; owned if the file writes them with escapes.
    texts: Vec<Cow<'a, str>>,
    /// Ranges in `source` of bytes and long whole numbers.
    spans: Vec<Range<usize>>,
    /// Items of lists, tuples and sets; of dictionaries, alternating keys and values.
    containers: Vec<Vec<Id>>,
    storages: Vec<Storage<'a>>,
    pub(crate) root: Id,
}

impl<'a> Pickle<'a> {
    pub(crate) fn node(&self, id: Id) -> Node {
        self.nodes[id.0 as usize]
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node> {
        self.nodes.iter().copied()
    }

    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(place) => Some(&self.texts[place.0 as usize]),
            _ => None,
        }
    }

    /// The range of bytes in `source`.
    fn span(&self, id: Id) -> Option<Range<usize>> {
        match self.node(id) {
            Node::Bytes(place) => Some(self.spans[place.0 as usize].clone()),
            _ => None,
        }
    }

    pub(crate) fn bytes(&self, id: Id) -> Option<&'a [u8]> {
        self.source.get(self.span(id)?)
    }

    /// A whole number beyond 64 bits, little-endian.
    pub(crate) fn long(&self, place: Place) -> &'a [u8] {
        self.source.get(self.spans[place.0 as usize].clone()).unwrap_or_default()
    }

    /// The items of a list, tuple or set.
    pub(crate) fn items(&self, place: Place) -> &[Id] {
        &self.containers[place.0 as usize]
    }

    pub(crate) fn list(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::List(place) => Some(self.items(place)),
            _ => None,
        }
    }

    pub(crate) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(place) => Some(self.items(place)),
            _ => None,
        }
    }

    /// The key-value pairs of a dictionary.
    pub(crate) fn dict(&self, id: Id) -> Option<&[[Id; 2]]> {
        match self.node(id) {
            Node::Dict(place) => Some(self.pairs(place)),
            _ => None,
        }
    }

    pub(crate) fn pairs(&self, dict: Place) -> &[[Id; 2]] {
        self.items(dict).as_chunks().0
    }

    pub(crate) fn storage(&self, place: Place) -> Storage<'a> {
        self.storages[place.0 as usize]
    }

    /// A whole number that fits into a `usize`.
    pub(crate) fn count(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(n) => usize::try_from(n).ok(),
            _ => None,
        }
    }

    /// The value of a text key in a dictionary. If a key occurs twice, the last one counts, as in Python.
    pub(crate) fn entry(&self, dict: Id, key: &str) -> Option<Id> {
        let pairs = self.dict(dict)?;
        pairs.iter().rev().find(|[name, _]| self.text(*name) == Some(key)).map(|[_, value]| *value)
    }
}
