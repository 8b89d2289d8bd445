//! The machine's stack, marks and memo, and the containers it fills. All of them are bounded by the number of opcodes;
//! what a few opcodes could make large (nesting, copies) is counted.

use super::{Id, MAX_DEPTH, Node, Pickle};
use crate::{
    cursor::Cursor,
    error::{Error, Result},
};

pub(super) struct Machine<'s, 'a> {
    pub(super) stream: &'s mut Cursor<'a>,
    pub(super) pickle: Pickle<'a>,
    /// Levels of nesting in each node.
    depths: Vec<u16>,
    pub(super) stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: Vec<Option<Id>>,
    n_ops: usize,
    /// What may still be copied or unpacked: items of sets and dictionaries made of lists, bytes of storages.
    shared: usize,
    /// Whether this pickle lies within another.
    pub(super) within: bool,
    /// Position of the opcode at work.
    pub(super) at: u64,
}

impl<'s, 'a> Machine<'s, 'a> {
    pub(super) fn new(stream: &'s mut Cursor<'a>, n_nodes: usize, n_ops: usize, within: bool) -> Self {
        Self {
            pickle: Pickle {
                source: stream.bytes(),
                nodes: Vec::with_capacity(n_nodes),
                storages: Vec::new(),
                root: Id(0),
            },
            depths: Vec::with_capacity(n_nodes),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            n_ops,
            shared: stream.left(),
            within,
            at: stream.offset(),
            stream,
        }
    }

    pub(super) fn finish(mut self) -> Result<Pickle<'a>> {
        self.pickle.root = self.pop()?;
        if !(self.stack.is_empty() && self.marks.is_empty()) {
            return Err(self.wrong("one value on the stack at the end", "more"));
        }
        Ok(self.pickle)
    }

    pub(super) fn wrong(&self, expected: &str, got: impl Into<String>) -> Error {
        self.stream.malformed(self.at, expected, got)
    }

    fn underflow(&self) -> Error {
        self.wrong("more values on the stack", "too few")
    }

    pub(super) fn push(&mut self, node: Node<'a>, depth: usize) -> Result<()> {
        let place = u32::try_from(self.pickle.nodes.len());
        let id = Id(place.map_err(|_| self.wrong("fewer than 2^32 values", "more"))?);
        self.pickle.nodes.push(node);
        self.depths.push(0);
        self.stack.push(id);
        self.deepen(id, depth)
    }

    pub(super) fn pop(&mut self) -> Result<Id> {
        if self.stack.len() <= self.floor() {
            return Err(self.underflow());
        }
        self.stack.pop().ok_or_else(|| self.underflow())
    }

    pub(super) fn top(&self) -> Result<Id> {
        let top = self.stack.last().filter(|_| self.stack.len() > self.floor());
        top.copied().ok_or_else(|| self.underflow())
    }

    /// The height below which the values belong to before the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    pub(super) fn top_values(&mut self, n: usize) -> Result<Vec<Id>> {
        let height = self.stack.len().checked_sub(n).filter(|height| *height >= self.floor());
        Ok(self.stack.split_off(height.ok_or_else(|| self.underflow())?))
    }

    pub(super) fn mark(&mut self) -> Result<()> {
        if self.marks.len() == MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Takes a mark away if there is nothing above it.
    pub(super) fn unmark(&mut self) -> bool {
        self.marks.pop_if(|height| *height == self.stack.len()).is_some()
    }

    pub(super) fn above_mark(&mut self) -> Result<Vec<Id>> {
        let height = self.marks.pop().ok_or_else(|| self.wrong("a mark on the stack", "none"))?;
        Ok(self.stack.split_off(height))
    }

    pub(super) fn put(&mut self, place: Option<u32>) -> Result<()> {
        let id = self.top()?;
        let place = place.map_or(self.memo.len(), |place| place as usize);
        // All who write pickles number the places in turn, from 0 or 1.
        if place > self.n_ops {
            return Err(self.wrong("a place of the memo below the number of opcodes", place.to_string()));
        }
        if place >= self.memo.len() {
            self.memo.resize(place + 1, None);
        }
        self.memo[place] = Some(id);
        Ok(())
    }

    pub(super) fn get(&mut self, place: u32) -> Result<()> {
        let found = self.memo.get(place as usize).copied().flatten();
        let id = found.ok_or_else(|| self.wrong("a place of the memo that was filled", place.to_string()))?;
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn add_items(&mut self, target: Id, items: &[Id], to_set: bool) -> Result<()> {
        let depth = 1 + self.deepest(items);
        match (&mut self.pickle.nodes[target.0 as usize], to_set) {
            (Node::List(held), false) | (Node::Set(held), true) => held.extend_from_slice(items),
            (other, _) => {
                let got = other.kind();
                return Err(self.wrong(if to_set { "a set" } else { "a list" }, got));
            }
        }
        self.deepen(target, depth)
    }

    pub(super) fn set_items(&mut self, dict: Id, items: &[Id]) -> Result<()> {
        let (pairs, odd) = items.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(self.wrong("keys and values in turn", "an odd number of them"));
        }
        let depth = 1 + self.deepest(items);
        match &mut self.pickle.nodes[dict.0 as usize] {
            Node::Dict(held) => held.extend(pairs.iter().map(|&[key, value]| (key, value))),
            other => {
                let got = other.kind();
                return Err(self.wrong("a dictionary", got));
            }
        }
        self.deepen(dict, depth)
    }

    /// One container of the values.
    pub(super) fn collect(&mut self, items: Vec<Id>, node: fn(Vec<Id>) -> Node<'a>) -> Result<()> {
        let depth = 1 + self.deepest(&items);
        self.push(node(items), depth)
    }

    /// Notes that `id` has `depth` levels below it.
    pub(super) fn deepen(&mut self, id: Id, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(self.too_deep());
        }
        let held = &mut self.depths[id.0 as usize];
        *held = (*held).max(depth as u16);
        Ok(())
    }

    pub(super) fn depth(&self, id: Id) -> usize {
        self.depths[id.0 as usize].into()
    }

    fn deepest(&self, ids: &[Id]) -> usize {
        ids.iter().map(|id| self.depth(*id)).max().unwrap_or(0)
    }

    fn too_deep(&self) -> Error {
        Error::TooDeep { format: self.stream.format, offset: self.at, limit: MAX_DEPTH }
    }

    /// Pays for reading something a second time.
    pub(super) fn share(&mut self, n: usize) -> Result<()> {
        let limit = self.stream.bytes().len() as u64;
        let unfolds = Error::Unfolds { format: self.stream.format, limit };
        self.shared = self.shared.checked_sub(n).ok_or(unfolds)?;
        Ok(())
    }
}
