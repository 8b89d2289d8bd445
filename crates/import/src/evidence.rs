//! Shapes as evidence: each size of a network shows in several tensors, and the most common answer is taken.
//!
//! One tensor of a wrong shape then does not make another network of the whole; it is found, by name, when all tensors are
//! compared with the network that the others describe.

use std::collections::BTreeMap;

use crate::source::Source;
use crate::vote::most_common;

/// Shapes by this project's names.
pub(crate) struct Shapes<'a>(BTreeMap<&'a str, &'a [i64]>);

impl<'a> Shapes<'a> {
    pub(crate) fn of(sources: &'a [Source<'_>]) -> Self {
        Self(sources.iter().map(|s| (s.name.as_str(), s.shape.as_slice())).collect())
    }

    /// Extent `axis` of a tensor, if it is there.
    pub(crate) fn dim(&self, name: &str, axis: usize) -> Option<i64> {
        self.0.get(name)?.get(axis).copied()
    }

    /// What most of these tensors' extents say; the first of them where they are divided.
    pub(crate) fn vote<S: AsRef<str>>(&self, of: impl IntoIterator<Item = (S, usize)>) -> Option<i64> {
        most_common(of.into_iter().filter_map(|(name, axis)| self.dim(name.as_ref(), axis)))
    }

    /// Names below `prefix`, which ends in a dot, from there on.
    pub(crate) fn below(&self, prefix: &str) -> impl Iterator<Item = &'a str> {
        self.0.keys().filter_map(move |name| name.strip_prefix(prefix))
    }

    pub(crate) fn has_below(&self, prefix: &str) -> bool {
        self.below(prefix).next().is_some()
    }
}
