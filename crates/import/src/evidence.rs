//! Sizes of a network from the shapes of its tensors: several tensors imply each size, and the most common value counts.
//!
//! One tensor with a wrong shape then does not change the description of the network. It is reported by name later, when
//! all tensors are compared with the description.

use std::collections::BTreeMap;
use std::ops::Bound;

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
        // Names are in order: a search, not a walk over all of them, which a file may have by the million.
        let from = self.0.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.map_while(move |(name, _)| name.strip_prefix(prefix))
    }

    pub(crate) fn has_below(&self, prefix: &str) -> bool {
        self.below(prefix).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_a_prefix_are_those_that_begin_with_it() {
        let shapes = Shapes(["a", "a.b", "a.c.d", "a.c", "ab", "b"].map(|name| (name, &[1][..])).into());
        assert_eq!(shapes.below("a.").collect::<Vec<_>>(), ["b", "c", "c.d"]);
        assert_eq!(shapes.below("").count(), 6);
        assert!(shapes.has_below("a.c.") && !shapes.has_below("a.d") && !shapes.has_below("c"));
    }
}
