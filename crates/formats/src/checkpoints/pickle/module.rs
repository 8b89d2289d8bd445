//! Modules: torch's `_parameters`, `_buffers` and `_modules`, in persistent classes and in `ModuleDict`.

use super::{Id, Node, global::Global, walk::Walk};
use crate::{error::Result, value::Value};

/// A module's class, if the file names it, and its attributes.
struct Module<'w> {
    class_name: Option<&'w str>,
    state: Id,
}

impl<'w, 'a> Walk<'w, 'a> {
    /// Collects the arrays of a module in the order of its `state_dict`: parameters, persistent buffers, then the arrays of
    /// its submodules.
    pub(super) fn module(&mut self, id: Id, depth: usize) -> Result<()> {
        let module = self.open(id)?;
        self.arrays_of(module.state, depth)
    }

    /// Like [`Self::module`], for the network of a file. Returns its class and the arguments of its constructor.
    pub(crate) fn network(&mut self, id: Id) -> Result<(Option<String>, Value)> {
        let Module { class_name, state } = self.open(id)?;
        self.arrays_of(state, 0)?;
        let n_arrays = self.arrays.len();
        let mut options = match self.pickle.entry(state, "_init_kwargs") {
            Some(kwargs) => self.value(kwargs, 0)?.unwrap_or_default(),
            None => Value::Null,
        };
        // EDM passes all arguments by keyword; positional arguments are kept too, so that they are noticed.
        if let Some(args) = self.pickle.entry(state, "_init_args")
            && !self.pickle.tuple(args).is_some_and(<[Id]>::is_empty)
            && let Value::Map(pairs) = &mut options
        {
            pairs.extend(self.value(args, 0)?.map(|args| ("_init_args".to_owned(), args)));
        }
        self.arrays.truncate(n_arrays);
        Ok((class_name.map(str::to_owned), options))
    }

    /// Whether the value is a module.
    pub(crate) fn is_module(&self, id: Id) -> bool {
        matches!(self.pickle.node(id), Node::Call { global: Global::Persistent | Global::ModuleDict, .. })
    }

    fn open(&mut self, id: Id) -> Result<Module<'w>> {
        let pickle = self.pickle;
        match pickle.node(id) {
            Node::Call { global: Global::ModuleDict, state: Some(state), .. } => {
                Ok(Module { class_name: None, state })
            }
            Node::Call { global: Global::Persistent, args, .. } => {
                let meta = pickle.tuple(args).and_then(|args| args.first()).copied();
                let meta = meta.filter(|meta| pickle.dict(*meta).is_some());
                let meta =
                    meta.ok_or_else(|| self.wrong("a dictionary on a persistent class", "another value"))?;
                self.visit(pickle.dict(meta).map_or(0, <[_]>::len))?;
                let text = |key| pickle.entry(meta, key).and_then(|value| pickle.text(value));
                match (text("type"), text("class_name"), pickle.entry(meta, "state")) {
                    (Some("class"), Some(class_name), Some(state)) => {
                        Ok(Module { class_name: Some(class_name), state })
                    }
                    _ => Err(self.wrong("a persistent class with name and state", "another")),
                }
            }
            other => Err(self.wrong("a module", other.kind())),
        }
    }

    fn arrays_of(&mut self, state: Id, depth: usize) -> Result<()> {
        let pickle = self.pickle;
        let Some(attributes) = pickle.dict(state) else {
            return Err(self.wrong("the attributes of a module", pickle.node(state).kind()));
        };
        self.visit(attributes.len())?;
        let non_persistent = self.non_persistent(state)?;
        for (name, tensor) in self.members(state, "_parameters")? {
            self.below(name, |walk| walk.tensor(tensor))?;
        }
        for (name, tensor) in self.members(state, "_buffers")? {
            if non_persistent.binary_search(&name).is_err() {
                self.below(name, |walk| walk.tensor(tensor))?;
            }
        }
        for (name, module) in self.members(state, "_modules")? {
            self.below(name, |walk| {
                if !walk.is_module(module) {
                    return Err(walk.wrong("a module", pickle.node(module).kind()));
                }
                walk.value(module, depth + 1)
            })?;
        }
        Ok(())
    }

    /// The names of buffers that are not part of the `state_dict`, sorted.
    fn non_persistent(&mut self, state: Id) -> Result<Vec<&'w str>> {
        let pickle = self.pickle;
        let Some(set) = pickle.entry(state, "_non_persistent_buffers_set") else { return Ok(Vec::new()) };
        let Node::Set(names) = pickle.node(set) else {
            return Err(self.wrong("a set of names", pickle.node(set).kind()));
        };
        let names = pickle.items(names);
        self.visit(names.len())?;
        self.allowance.spend_on::<&str>(names.len())?;
        let mut non_persistent = Vec::with_capacity(names.len());
        non_persistent.extend(names.iter().filter_map(|name| pickle.text(*name)));
        non_persistent.sort_unstable();
        Ok(non_persistent)
    }

    /// The parameters, buffers or submodules of a module that are not `None`, by name.
    fn members(&mut self, state: Id, kind: &str) -> Result<Vec<(&'w str, Id)>> {
        let pickle = self.pickle;
        let Some(pairs) = pickle.entry(state, kind).and_then(|members| pickle.dict(members)) else {
            return Err(self.wrong(&format!("a module with `{kind}`"), "one without"));
        };
        self.visit(pairs.len())?;
        self.allowance.spend_on::<(&str, Id)>(pairs.len())?;
        let mut members = Vec::with_capacity(pairs.len());
        for &[name, member] in pairs {
            let text = pickle.text(name);
            let name = text.ok_or_else(|| self.wrong("members with names", pickle.node(name).kind()))?;
            if !matches!(pickle.node(member), Node::None) {
                self.spend_key(name)?;
                members.push((name, member));
            }
        }
        Ok(members)
    }
}
