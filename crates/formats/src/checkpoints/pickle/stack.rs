//! The machine's stack, marks and memo, and the containers it fills. All are bounded by the number of opcodes and spent
//! from the allowance. Nesting and copies, which a few opcodes could make large, are counted.

use std::borrow::Cow;

use super::{Id, MAX_DEPTH, Node, Pickle, Place, scan::Needs};
use crate::{
    allowance::Allowance,
    cursor::Cursor,
    error::{Error, Result},
};

pub(super) struct Machine<'s, 'a> {
    pub(super) stream: &'s mut Cursor<'a>,
    pub(super) pickle: Pickle<'a>,
    /// Levels of nesting in each node.
    depths: Vec<u16>,
    pub(super) stack: Vec<Id>,
    /// Height of the stack at each mark.
    marks: Vec<usize>,
    memo: Vec<Option<Id>>,
    n_ops: usize,
    /// Remaining budget for repeated reads: items of lists copied into sets and dictionaries, bytes of storages.
    shared: usize,
    pub(super) allowance: &'s mut Allowance,
    /// Whether this pickle is embedded in another.
    pub(super) within: bool,
    /// Offset of the current opcode.
    pub(super) at: u64,
}

impl<'s, 'a> Machine<'s, 'a> {
    /// A machine for a pickle with these needs, which are spent from the allowance.
    pub(super) fn new(
        stream: &'s mut Cursor<'a>,
        needs: &Needs,
        allowance: &'s mut Allowance,
        within: bool,
    ) -> Result<Self> {
        allowance.spend(needs.bytes())?;
        Ok(Self {
            pickle: Pickle {
                source: stream.bytes(),
                nodes: Vec::with_capacity(needs.nodes),
                texts: Vec::with_capacity(needs.texts),
                spans: Vec::with_capacity(needs.spans),
                containers: Vec::with_capacity(needs.containers),
                storages: Vec::new(),
                root: Id(0),
            },
            depths: Vec::with_capacity(needs.nodes),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::with_capacity(needs.places),
            n_ops: needs.ops,
            shared: stream.left(),
            allowance,
            within,
            at: stream.offset(),
            stream,
        })
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

    pub(super) fn push(&mut self, node: Node, depth: usize) -> Result<()> {
        let Place(place) = self.place(self.pickle.nodes.len())?;
        let id = Id(place);
        self.pickle.nodes.push(node);
        self.depths.push(0);
        self.stack.push(id);
        self.deepen(id, depth)
    }

    pub(super) fn push_text(&mut self, text: Cow<'a, str>) -> Result<()> {
        let place = self.place(self.pickle.texts.len())?;
        self.pickle.texts.push(text);
        self.push(Node::Text(place), 0)
    }

    /// Pushes a node for the last `len` bytes read from the stream.
    pub(super) fn push_span(&mut self, len: usize, node: fn(Place) -> Node) -> Result<()> {
        let (place, end) = (self.place(self.pickle.spans.len())?, self.stream.pos());
        self.pickle.spans.push(end - len..end);
        self.push(node(place), 0)
    }

    /// Pushes a container of the items.
    pub(super) fn collect(&mut self, items: Vec<Id>, node: fn(Place) -> Node) -> Result<()> {
        let (place, depth) = (self.place(self.pickle.containers.len())?, 1 + self.deepest(&items));
        self.pickle.containers.push(items);
        self.push(node(place), depth)
    }

    /// The place with index `len`, which is small because the number of nodes is limited.
    pub(super) fn place(&self, len: usize) -> Result<Place> {
        u32::try_from(len).map(Place).map_err(|_| self.wrong("fewer than 2^32 values", "more"))
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

    /// The height of the stack at the last mark; values below it cannot be popped.
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

    /// Removes the last mark if there is nothing above it; returns whether it did.
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
        // All programs that write pickles number the places consecutively from 0 or 1.
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
        match (self.pickle.node(target), to_set) {
            (Node::List(held), false) | (Node::Set(held), true) => self.hold(target, held, items),
            (other, _) => Err(self.wrong(if to_set { "a set" } else { "a list" }, other.kind())),
        }
    }

    pub(super) fn set_items(&mut self, dict: Id, items: &[Id]) -> Result<()> {
        if !items.len().is_multiple_of(2) {
            return Err(self.wrong("keys and values in turn", "an odd number of them"));
        }
        match self.pickle.node(dict) {
            Node::Dict(held) => self.hold(dict, held, items),
            other => Err(self.wrong("a dictionary", other.kind())),
        }
    }

    /// Adds items to a container.
    fn hold(&mut self, container: Id, held: Place, items: &[Id]) -> Result<()> {
        let depth = 1 + self.deepest(items);
        self.pickle.containers[held.0 as usize].extend_from_slice(items);
        self.deepen(container, depth)
    }

    /// Records that `id` has at least `depth` levels of nesting.
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

    /// Counts `n` items or bytes that are read a second time.
    pub(super) fn share(&mut self, n: usize) -> Result<()> {
        let limit = self.stream.bytes().len() as u64;
        let unfolds = Error::Unfolds { format: self.stream.format, limit };
        self.shared = self.shared.checked_sub(n).ok_or(unfolds)?;
        Ok(())
    }

    /// Counts and spends `n` items that are copied from one container to another.
    pub(super) fn share_items(&mut self, n: usize) -> Result<()> {
        self.allowance.spend_on::<[Id; 2]>(n)?;
        self.share(n)
    }
}
