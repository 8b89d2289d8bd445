//! The first pass over a pickle: it only decodes, and counts what the second pass will create.

use std::{borrow::Cow, ops::Range};

use super::{
    Id, Node,
    opcode::{self, Op},
};
use crate::{cursor::Cursor, error::Result};

/// Limit on nodes, so that all indices fit into 32 bits. A network of ten thousand tensors with its optimizer has half a
/// million.
const MAX_NODES: usize = 1 << 24;

/// Bytes per value pushed on the stack: its id there and later in a container, each in a vector whose capacity may have
/// just doubled.
const PUSHED: usize = 4 * size_of::<Id>();

/// Upper bounds on what a pickle creates.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub(super) nodes: usize,
    pub(super) texts: usize,
    pub(super) spans: usize,
    pub(super) containers: usize,
    /// Places of the memo.
    pub(super) places: usize,
    pub(super) ops: usize,
    pushes: usize,
    /// Bytes of texts with escapes, which are copied.
    unescaped: usize,
}

impl Needs {
    /// The needs of the pickle at the stream's position.
    ///
    /// # Errors
    /// For a stream that is truncated, claims more than there is, names a forbidden global in plain text, or has more
    /// values than any model.
    pub(super) fn of(mut stream: Cursor<'_>) -> Result<Self> {
        let (start, mut needs) = (stream.offset(), Self::default());
        loop {
            let (_, op) = opcode::next(&mut stream)?;
            needs.add(&op);
            if op == Op::Stop {
                break;
            }
        }
        if needs.nodes > MAX_NODES {
            return Err(stream.malformed(start, "a pickle of at most 2^24 values", needs.nodes.to_string()));
        }
        needs.places = needs.places.min(needs.ops + 1);
        Ok(needs)
    }

    fn add(&mut self, op: &Op<'_>) {
        self.ops += 1;
        let (nodes, containers) = match op {
            Op::None | Op::Bool(_) | Op::Int(_) | Op::Float(_) => (1, 0),
            Op::Long(_) | Op::Bytes(_) => {
                self.spans += 1;
                (1, 0)
            }
            Op::Text(text) => {
                self.texts += 1;
                if let Cow::Owned(text) = text {
                    self.unescaped += text.capacity();
                }
                (1, 0)
            }
            Op::Global(_) | Op::StackGlobal | Op::PersistentId => (1, 0),
            Op::EmptyList | Op::EmptyTuple | Op::EmptyDict | Op::EmptySet => (1, 1),
            Op::TupleOf(_) | Op::Tuple | Op::List | Op::Dict | Op::FrozenSet => (1, 1),
            // A call may create a dictionary or a set.
            Op::NewObj | Op::Reduce => (1, 1),
            // This call also creates a tuple of its arguments.
            Op::Inst(_) => (2, 2),
            Op::Dup | Op::Get(_) => {
                self.pushes += 1;
                (0, 0)
            }
            Op::Put(place) => {
                self.places = self.places.max(*place as usize + 1);
                (0, 0)
            }
            Op::Memoize => {
                self.places += 1;
                (0, 0)
            }
            Op::Append | Op::Appends | Op::SetItem | Op::SetItems | Op::AddItems => (0, 0),
            Op::Mark | Op::Pop | Op::PopMark | Op::Build | Op::Nothing | Op::Stop => (0, 0),
        };
        self.nodes += nodes;
        self.containers += containers;
        self.pushes += nodes;
    }

    /// Bytes of memory needed.
    pub(super) fn bytes(&self) -> u64 {
        let sizes = [
            (self.nodes, size_of::<Node>() + size_of::<u16>()),
            (self.texts, size_of::<Cow<'_, str>>()),
            (self.spans, size_of::<Range<usize>>()),
            (self.containers, size_of::<Vec<Id>>()),
            (self.places, size_of::<Option<Id>>()),
            (self.pushes, PUSHED),
            (self.unescaped, 1),
        ];
        sizes.iter().map(|&(n, size)| (n as u64).saturating_mul(size as u64)).fold(0, u64::saturating_add)
    }
}
