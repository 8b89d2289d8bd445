//! Sizes of a network from the shapes of its tensors: several tensors imply each size, and the most common value counts.
//!
//! One tensor with a wrong shape then does not change the description of the network. It is reported by name later, when
//! all tensors are compared with the description.

use std::collections::BTreeMap;

use crate::source::Source;
use crate::vote::most_common;

/// Shapes of tensors by name, in this project's naming.
pub(crate) struct Shapes<'a>(BTreeMap<&'a str, &'a [i64]>);

impl<'a> Shapes<'a> {
    pub(crate) fn of(sources: &'a [Source<'_>]) -> Self {
        Self(sources.iter().map(|s| (s.name.as_str(), s.shape.as_slice())).collect())
    }

    /// The extent of a tensor along `axis`, if there is such a tensor.
    pub(crate) fn dim(&self, name: &str, axis: usize) -> Option<i64> {
        self.0.get(name)?.get(axis).copied()
    }

    /// Whether there is such a tensor.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The number of a tensor's dimensions, if there is such a tensor.
    pub(crate) fn n_dims(&self, name: &str) -> Option<usize> {
        self.0.get(name).map(|shape| shape.len())
    }

    /// The most common of these extents; of equally common values the first.
    pub(crate) fn vote<S: AsRef<str>>(&self, of: impl IntoIterator<Item = (S, usize)>) -> Option<i64> {
        most_common(of.into_iter().filter_map(|(name, axis)| self.dim(name.as_ref(), axis)))
    }

    /// The names that begin with `prefix`, without it.
    pub(crate) fn below(&self, prefix: &str) -> impl Iterator<Item = &'a str> {
        self.0.keys().filter_map(move |name| name.strip_prefix(prefix))
    }

    pub(crate) fn has_below(&self, prefix: &str) -> bool {
        self.below(prefix).next().is_some()
    }
}
