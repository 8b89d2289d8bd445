//! The stack machine, which turns opcodes into nodes.

use super::{
    Node, Pickle,
    opcode::{self, Op},
    scan::Needs,
    stack::Machine,
};
use crate::{allowance::Allowance, cursor::Cursor, error::Result};

/// Reads the pickle at the stream's position and moves the stream past it. Spends the nodes' memory from `allowance`.
///
/// `within` is set for the pickles of a storage embedded in another pickle, which may not embed storages themselves.
///
/// # Errors
/// [`Error::ForbiddenGlobal`] for a global that is not on the list, [`Error::Unfinished`] and [`Error::PastEnd`] for a
/// truncated stream, [`Error::TooDeep`], [`Error::Unfolds`] for more values than its size allows, and
/// [`Error::Malformed`] for anything that Python and torch never write.
///
/// [`Error::ForbiddenGlobal`]: crate::Error::ForbiddenGlobal
/// [`Error::Unfinished`]: crate::Error::Unfinished
/// [`Error::PastEnd`]: crate::Error::PastEnd
/// [`Error::TooDeep`]: crate::Error::TooDeep
/// [`Error::Unfolds`]: crate::Error::Unfolds
/// [`Error::Malformed`]: crate::Error::Malformed
pub(crate) fn run<'a>(
    stream: &mut Cursor<'a>,
    allowance: &mut Allowance,
    within: bool,
) -> Result<Pickle<'a>> {
    let needs = Needs::of(stream.clone())?;
    let mut machine = Machine::new(stream, &needs, allowance, within)?;
    loop {
        let (at, op) = opcode::next(machine.stream)?;
        machine.at = at;
        if op == Op::Stop {
            return machine.finish();
        }
        machine.step(op)?;
    }
}

impl<'a> Machine<'_, 'a> {
    fn step(&mut self, op: Op<'a>) -> Result<()> {
        match op {
            Op::None => self.push(Node::None, 0),
            Op::Bool(v) => self.push(Node::Bool(v), 0),
            Op::Int(v) => self.push(Node::Int(v), 0),
            Op::Long(v) => self.push_span(v.len(), Node::Long),
            Op::Float(v) => self.push(Node::Float(v), 0),
            Op::Text(v) => self.push_text(v),
            Op::Bytes(v) => self.push_span(v.len(), Node::Bytes),
            Op::EmptyList => self.collect(Vec::new(), Node::List),
            Op::EmptyTuple => self.collect(Vec::new(), Node::Tuple),
            Op::EmptyDict => self.collect(Vec::new(), Node::Dict),
            Op::EmptySet => self.collect(Vec::new(), Node::Set),
            Op::TupleOf(n) => {
                let items = self.top_values(n)?;
                self.collect(items, Node::Tuple)
            }
            Op::Tuple | Op::List | Op::FrozenSet => {
                let items = self.above_mark()?;
                let node = match op {
                    Op::Tuple => Node::Tuple,
                    Op::List => Node::List,
                    _ => Node::Set,
                };
                self.collect(items, node)
            }
            Op::Dict => {
                let items = self.above_mark()?;
                self.collect(Vec::new(), Node::Dict)?;
                self.set_items(self.top()?, &items)
            }
            Op::Append => {
                let item = self.pop()?;
                self.add_items(self.top()?, &[item], false)
            }
            Op::Appends | Op::AddItems => {
                let items = self.above_mark()?;
                self.add_items(self.top()?, &items, op == Op::AddItems)
            }
            Op::SetItem => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(self.top()?, &[key, value])
            }
            Op::SetItems => {
                let items = self.above_mark()?;
                self.set_items(self.top()?, &items)
            }
            Op::Mark => self.mark(),
            Op::Pop if self.unmark() => Ok(()),
            Op::Pop => self.pop().map(drop),
            Op::PopMark => self.above_mark().map(drop),
            Op::Dup => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }
            Op::Put(place) => self.put(Some(place)),
            Op::Memoize => self.put(None),
            Op::Get(place) => self.get(place),
            Op::Global(global) => self.push(Node::Global(global), 0),
            Op::StackGlobal => self.stack_global(),
            Op::Inst(global) => self.instance(global),
            Op::Reduce => self.reduce(),
            Op::NewObj => self.new_object(),
            Op::Build => self.build(),
            Op::PersistentId => {
                let id = self.pop()?;
                let depth = self.depth(id);
                self.push(Node::Persistent(id), depth)
            }
            Op::Nothing | Op::Stop => Ok(()),
        }
    }
}
