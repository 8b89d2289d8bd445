//! The stack machine: opcodes in, nodes out.

use super::{
    Node, Pickle,
    opcode::{self, Op},
    stack::Machine,
};
use crate::{
    cursor::Cursor,
    error::{Error, Result},
};

/// A network of ten thousand tensors with its optimizer is half a million values.
const MAX_NODES: usize = 1 << 24;

/// The pickle at the stream's place, which is moved past it.
///
/// `within` is set for the pickles of a storage that lies in another pickle; those cannot hold storages in turn.
///
/// # Errors
/// [`Error::ForbiddenGlobal`] for a global that is not on the list, [`Error::Unfinished`] and [`Error::PastEnd`] for a
/// stream that is cut short, [`Error::TooDeep`], and [`Error::Malformed`] for anything that Python or torch would not
/// have written.
pub(crate) fn run<'a>(stream: &mut Cursor<'a>, within: bool) -> Result<Pickle<'a>> {
    let (n_nodes, n_ops) = scan(&mut stream.clone())?;
    if n_nodes > MAX_NODES {
        return Err(Error::Malformed {
            format: stream.format,
            offset: stream.offset(),
            expected: "a pickle of at most 2^24 values".to_owned(),
            got: n_nodes.to_string(),
        });
    }
    let mut machine = Machine::new(stream, n_nodes, n_ops, within);
    loop {
        let (at, op) = opcode::next(machine.stream)?;
        machine.at = at;
        if op == Op::Stop {
            return machine.finish();
        }
        machine.step(op)?;
    }
}

/// Decodes up to the last opcode: how many nodes will be made, and how many opcodes there are.
fn scan(stream: &mut Cursor<'_>) -> Result<(usize, usize)> {
    let (mut n_nodes, mut n_ops) = (0, 0);
    loop {
        let (_, op) = opcode::next(stream)?;
        n_ops += 1;
        n_nodes += usize::from(op.makes_a_node());
        if op == Op::Stop {
            return Ok((n_nodes, n_ops));
        }
    }
}

impl<'a> Machine<'_, 'a> {
    fn step(&mut self, op: Op<'a>) -> Result<()> {
        match op {
            Op::None => self.push(Node::None, 0),
            Op::Bool(v) => self.push(Node::Bool(v), 0),
            Op::Int(v) => self.push(Node::Int(v), 0),
            Op::Long(v) => self.push(Node::Long(v), 0),
            Op::Float(v) => self.push(Node::Float(v), 0),
            Op::Text(v) => self.push(Node::Text(v), 0),
            Op::Unescaped(v) => self.push(Node::Unescaped(v), 0),
            Op::Bytes(v) => {
                let end = self.stream.pos();
                self.push(Node::Bytes { start: end - v.len(), end }, 0)
            }
            Op::EmptyList => self.push(Node::List(Vec::new()), 1),
            Op::EmptyTuple => self.push(Node::Tuple(Vec::new()), 1),
            Op::EmptyDict => self.push(Node::Dict(Vec::new()), 1),
            Op::EmptySet => self.push(Node::Set(Vec::new()), 1),
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
                self.push(Node::Dict(Vec::new()), 1)?;
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
