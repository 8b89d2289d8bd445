//! Calls of the allowed globals: each pushes a node that describes the call. Nothing is called.

use super::{Id, Node, Storage, global::Global, legacy, opcode, stack::Machine};
use crate::error::Result;

impl<'a> Machine<'_, 'a> {
    /// `INST`: a call with the values above the mark (protocol 0).
    pub(super) fn instance(&mut self, global: Global) -> Result<()> {
        let args = self.above_mark()?;
        self.collect(args, Node::Tuple)?;
        let args = self.pop()?;
        self.permit(global, Global::is_callable)?;
        self.call(global, args)
    }

    /// `REDUCE`: a call with a tuple of arguments.
    pub(super) fn reduce(&mut self) -> Result<()> {
        let (args, callable) = (self.pop()?, self.pop()?);
        let global = self.global(callable, Global::is_callable)?;
        self.call(global, args)
    }

    /// `NEWOBJ`: allocates an object of a class.
    pub(super) fn new_object(&mut self) -> Result<()> {
        let (args, class) = (self.pop()?, self.pop()?);
        let global = self.global(class, Global::is_class)?;
        self.call(global, args)
    }

    /// Pushes the result of calling an allowed global.
    fn call(&mut self, global: Global, args: Id) -> Result<()> {
        let Some(items) = self.pickle.tuple(args) else {
            return Err(self.wrong("a tuple of arguments", self.pickle.node(args).kind()));
        };
        match (global, items) {
            (Global::OrderedDict | Global::EasyDict, []) => self.collect(Vec::new(), Node::Dict),
            (Global::OrderedDict, &[pairs]) => self.dict_of_pairs(pairs),
            (Global::Set, &[items]) => {
                let Some(listed) = self.pickle.list(items) else {
                    return Err(self.wrong("a list to make a set of", self.pickle.node(items).kind()));
                };
                self.share_items(listed.len())?;
                let copied = self.pickle.list(items).unwrap_or_default().to_vec();
                self.collect(copied, Node::Set)
            }
            (Global::Size, &[items]) if self.pickle.tuple(items).is_some() => {
                self.stack.push(items);
                Ok(())
            }
            (Global::LoadFromBytes, &[bytes]) => self.storage(bytes),
            (Global::ModuleDict, [])
            | (Global::Persistent | Global::NumpyDType | Global::NumpyScalar | Global::Encode, [_, ..])
            | (Global::RebuildTensor | Global::RebuildTensorV2 | Global::RebuildParameter, [_, _, ..]) => {
                let depth = self.depth(args);
                self.push(Node::Call { global, args, state: None }, depth)
            }
            (_, items) => {
                let got = format!("{} arguments", items.len());
                Err(self.wrong(&format!("the arguments of `{}`", global.name()), got))
            }
        }
    }

    fn dict_of_pairs(&mut self, pairs: Id) -> Result<()> {
        let (Node::List(held) | Node::Tuple(held)) = self.pickle.node(pairs) else {
            return Err(self.wrong("a list of pairs", self.pickle.node(pairs).kind()));
        };
        // The pairs are copied to a flat list, which becomes the dictionary's container.
        self.share_items(2 * self.pickle.items(held).len())?;
        let pairs = self.pickle.items(held);
        let mut flat = Vec::with_capacity(2 * pairs.len());
        for &pair in pairs {
            let (Node::List(held) | Node::Tuple(held)) = self.pickle.node(pair) else {
                return Err(self.wrong("a pair", self.pickle.node(pair).kind()));
            };
            let &[key, value] = self.pickle.items(held) else {
                let got = format!("{} values", self.pickle.items(held).len());
                return Err(self.wrong("a pair", got));
            };
            flat.extend([key, value]);
        }
        self.collect(flat, Node::Dict)
    }

    /// Pushes the storage in `bytes`, which are an embedded file of the old torch format.
    fn storage(&mut self, bytes: Id) -> Result<()> {
        let (Some(span), Some(bytes)) = (self.pickle.span(bytes), self.pickle.bytes(bytes)) else {
            return Err(self.wrong("the bytes of a storage", self.pickle.node(bytes).kind()));
        };
        if self.within {
            return Err(self.wrong("no storage within a storage", "one"));
        }
        self.share(bytes.len())?;
        let stream = self.stream.within(bytes, span.start);
        let storage = self.allowance.lend(|allowance| legacy::read_storage(stream, allowance))?;
        // Twice, because the vector's capacity may have just doubled.
        self.allowance.spend_on::<Storage<'_>>(2)?;
        let place = self.place(self.pickle.storages.len())?;
        self.pickle.storages.push(storage);
        self.push(Node::Storage(place), 0)
    }

    /// `BUILD`: sets the state of the object below the top.
    pub(super) fn build(&mut self) -> Result<()> {
        let (new_state, object) = (self.pop()?, self.top()?);
        let depth = self.depth(new_state) + 1;
        match &mut self.pickle.nodes[object.0 as usize] {
            Node::Call { global, state: state @ None, .. } if global.takes_state() => {
                *state = Some(new_state)
            }
            // Attributes of a dictionary: torch stores module versions as an attribute of a state dict.
            Node::Dict(_) => return Ok(()),
            other => {
                let got = other.kind();
                return Err(self.wrong("an object that takes a state, once", got));
            }
        }
        self.deepen(object, depth)
    }

    pub(super) fn stack_global(&mut self) -> Result<()> {
        let (name, module) = (self.pop()?, self.pop()?);
        let (Some(name), Some(module)) = (self.pickle.text(name), self.pickle.text(module)) else {
            return Err(self.wrong("a module and a name", "other values"));
        };
        let found = Global::find(module, name);
        let global = found.ok_or_else(|| opcode::forbidden(self.stream.format, self.at, module, name))?;
        self.push(Node::Global(global), 0)
    }

    fn global(&self, id: Id, may: fn(Global) -> bool) -> Result<Global> {
        match self.pickle.node(id) {
            Node::Global(global) => self.permit(global, may),
            other => Err(self.wrong("a global", other.kind())),
        }
    }

    fn permit(&self, global: Global, may: fn(Global) -> bool) -> Result<Global> {
        if may(global) {
            return Ok(global);
        }
        Err(self.wrong("a global that is used so", format!("`{}`", global.name())))
    }
}
