//! A restricted pickle machine: protocols 0 to 5 as far as torch and numpy write them, read as data.
//!
//! A pickle is a program for a stack machine, and Python's runs whatever callable it names. This one runs nothing. It
//! has a list of the globals that tensors need ([`global`]); any other is refused by name at the opcode that names it.
//! Calls of the listed ones leave a [`Node`] that says what was called with what, and [`walk`] reads those nodes: a
//! tensor is a view of a storage, a module is a dictionary.
//!
//! Reading has two passes. The first ([`scan`]) only decodes, and finds a stream that is cut short, claims more than
//! there is, or names a global in plain text (as protocols 0 to 3 do) before a single node exists. It also counts what
//! the second will make, which is paid for before it begins: nodes of 16 bytes, in tables of the size that was counted.
//! Texts and bytes stay in the file, and nesting is counted as it happens.

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

/// The deepest nesting that is accepted. EDM's networks reach 40 levels; Python's own limit is near 300.
pub(crate) const MAX_DEPTH: usize = 256;

/// Where a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(u32);

/// Where what a node holds is, in the table of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

/// What an opcode left.
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
    /// What a listed global was called with, and the state it was given after.
    Call {
        global: Global,
        args: Id,
        state: Option<Id>,
    },
    /// A storage elsewhere in the file: the tuple that says which.
    Persistent(Id),
    /// A storage that the pickle holds itself.
    Storage(Place),
}

const _: () = assert!(size_of::<Node>() == 16, "a byte of a pickle can be a node");

impl Node {
    /// What this is, for error messages.
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

/// Values of one type, as they lie in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storage<'a> {
    pub(crate) dtype: DType,
    pub(crate) data: &'a [u8],
}

/// What one pickle holds. Ids and places are made by the machine, for what it has just put into these tables.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    /// The bytes that the pickle is part of.
    source: &'a [u8],
    nodes: Vec<Node>,
    /// Owned where the file writes them with escapes.
    texts: Vec<Cow<'a, str>>,
    /// Where in the source bytes and long whole numbers lie.
    spans: Vec<Range<usize>>,
    /// What lists, tuples and sets hold; of dictionaries, keys and values in turn.
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

    /// Where in the source bytes are.
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

    /// What a list, tuple or set holds.
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

    /// The keys of a dictionary with their values.
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

    /// A whole number that can count something.
    pub(crate) fn count(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(n) => usize::try_from(n).ok(),
            _ => None,
        }
    }

    /// The value of a text key of a dictionary; of the last, as in Python, if it was set twice.
    pub(crate) fn entry(&self, dict: Id, key: &str) -> Option<Id> {
        let pairs = self.dict(dict)?;
        pairs.iter().rev().find(|[name, _]| self.text(*name) == Some(key)).map(|[_, value]| *value)
    }
}
