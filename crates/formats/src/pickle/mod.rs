//! A restricted pickle machine: protocols 0 to 5 as far as torch and numpy write them, read as data.
//!
//! A pickle is a program for a stack machine, and Python's runs whatever callable it names. This one runs nothing. It
//! has a list of the globals that tensors need ([`global`]); any other is refused by name at the opcode that names it.
//! Calls of the listed ones leave a [`Node`] that says what was called with what, and [`walk`] reads those nodes: a
//! tensor is a view of a storage, a module is a dictionary.
//!
//! Reading has two passes. The first only decodes, and finds a stream that is cut short, claims more than there is, or
//! names a global in plain text (as protocols 0 to 3 do) before a single node exists; the second builds nodes. All sizes
//! follow the number of opcodes: nodes, stack and memo have one entry an opcode at most, texts and bytes stay in the
//! file, and nesting is counted as it happens.

mod call;
mod global;
pub(crate) mod legacy;
mod machine;
mod module;
mod opcode;
mod reference;
mod scalar;
mod stack;
pub(crate) mod walk;

pub(crate) use machine::run;

use self::global::Global;
use crate::tensor::DType;

/// The deepest nesting that is accepted. EDM's networks reach 40 levels; Python's own limit is near 300.
pub(crate) const MAX_DEPTH: usize = 256;

/// Where a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(u32);

/// What an opcode left.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number beyond 64 bits, in two's complement, little-endian.
    Long(&'a [u8]),
    Float(f64),
    Text(&'a str),
    /// A text that the file writes with escapes.
    Unescaped(Box<str>),
    /// Where in [`Pickle::source`].
    Bytes {
        start: usize,
        end: usize,
    },
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// What a listed global was called with, and the state it was given after.
    Call {
        global: Global,
        args: Id,
        state: Option<Id>,
    },
    /// A storage elsewhere in the file: the tuple that says which.
    Persistent(Id),
    /// A storage that the pickle holds itself: its place in [`Pickle::storages`].
    Storage(usize),
}

impl Node<'_> {
    /// What this is, for error messages.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Long(_) => "a whole number",
            Self::Float(_) => "a floating point number",
            Self::Text(_) | Self::Unescaped(_) => "a text",
            Self::Bytes { .. } => "bytes",
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

/// What one pickle holds.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    /// The bytes that the pickle is part of.
    source: &'a [u8],
    nodes: Vec<Node<'a>>,
    pub(crate) storages: Vec<Storage<'a>>,
    pub(crate) root: Id,
}

impl<'a> Pickle<'a> {
    pub(crate) fn node(&self, id: Id) -> &Node<'a> {
        // Ids are made by the machine, for nodes that it has just pushed.
        &self.nodes[id.0 as usize]
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node<'a>> {
        self.nodes.iter()
    }

    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            Node::Unescaped(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn bytes(&self, id: Id) -> Option<&'a [u8]> {
        match *self.node(id) {
            Node::Bytes { start, end } => self.source.get(start..end),
            _ => None,
        }
    }

    pub(crate) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.node(id) {
            Node::Dict(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// A whole number that can count something.
    pub(crate) fn count(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The value of a text key of a dictionary; of the last, as in Python, if it was set twice.
    pub(crate) fn entry(&self, dict: Id, key: &str) -> Option<Id> {
        let pairs = self.dict(dict)?;
        pairs.iter().rev().find(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| *value)
    }
}
