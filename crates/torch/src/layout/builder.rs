//! The builder of a name table, entry by entry.

use std::collections::HashMap;

use super::{Init, Layout, ParamId, ParamRole, ParamSpec};
use crate::error::{Error, Result};
use fewstep_random::name_key;

/// Largest number of elements of a table: 4 TiB of f32.
const MAX_TOTAL: usize = 1 << 40;

/// Builds a [`Layout`] and returns a handle for each entry.
#[derive(Debug, Default)]
pub struct LayoutBuilder {
    params: Vec<ParamSpec>,
    seen: HashMap<String, usize>,
    total: usize,
    prefix: Vec<String>,
}

impl LayoutBuilder {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `body` with `part` appended to the name prefix.
    ///
    /// # Errors
    /// Those of `body`.
    pub fn scope<T, E>(
        &mut self,
        part: impl Into<String>,
        body: impl FnOnce(&mut Self) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.prefix.push(part.into());
        let result = body(self);
        self.prefix.pop();
        result
    }

    /// Adds a trained parameter under the current prefix.
    ///
    /// # Errors
    /// The name is taken, or a dimension is not positive.
    pub fn param(&mut self, name: &str, shape: &[i64], init: Init) -> Result<ParamId> {
        self.add(name, shape, init, ParamRole::Trained)
    }

    /// Adds a [`ParamRole::Constant`] entry: drawn once or loaded, and never trained.
    ///
    /// # Errors
    /// The name is taken, or a dimension is not positive.
    pub fn constant(&mut self, name: &str, shape: &[i64], init: Init) -> Result<ParamId> {
        self.add(name, shape, init, ParamRole::Constant)
    }

    /// Adds a [`ParamRole::Computed`] entry with these values, in row-major order.
    ///
    /// # Errors
    /// The name is taken, a dimension is not positive, or the number of values is not the shape's number of elements.
    pub fn computed(&mut self, name: &str, shape: &[i64], values: Vec<f32>) -> Result<ParamId> {
        self.add(name, shape, Init::Values(values.into()), ParamRole::Computed)
    }

    fn add(&mut self, name: &str, shape: &[i64], init: Init, role: ParamRole) -> Result<ParamId> {
        let full = self.prefix.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".");
        if shape.iter().any(|&d| d <= 0) {
            return Err(Error::Parameter { name: full, problem: "has a dimension that is not positive" });
        }
        let len = shape.iter().try_fold(1i64, |len, &extent| len.checked_mul(extent));
        let total = len.and_then(|len| self.total.checked_add(usize::try_from(len).ok()?));
        let Some(total) = total.filter(|&total| total <= MAX_TOTAL) else {
            return Err(Error::Parameter { name: full, problem: "makes the network larger than any memory" });
        };
        let key = name_key(&full);
        let spec = ParamSpec { name: full, shape: shape.to_vec(), offset: self.total, init, role };
        if matches!(&spec.init, Init::Values(values) if values.len() != spec.len()) {
            return Err(Error::Parameter { name: spec.name, problem: "has another number of values" });
        }
        let id = self.params.len();
        if self.seen.insert(spec.name.clone(), id).is_some() {
            return Err(Error::Parameter { name: spec.name, problem: "is defined twice" });
        }
        self.total = total;
        self.params.push(spec);
        Ok(ParamId { index: id, key })
    }

    /// The finished table.
    pub fn build(self) -> Layout {
        Layout { params: self.params, total: self.total }
    }
}
