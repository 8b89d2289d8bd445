//! References to storages: the tuples with which torch's pickles refer to them.

use super::{Id, Node, Pickle, Storage, global::Global};
use crate::tensor::DType;

/// A tuple `("storage", type, key, location, n)`. In the old format, `None` or a view `(key, offset, n)` follows.
pub(crate) struct Reference<'p> {
    pub(crate) dtype: DType,
    pub(crate) key: &'p str,
    /// Elements of the whole storage.
    n: usize,
    /// First element and number of elements of the view.
    view: Option<(usize, usize)>,
}

impl<'p> Reference<'p> {
    /// The reference in a tuple; `None` if the value is not such a tuple.
    pub(crate) fn parse(pickle: &'p Pickle<'_>, tuple: Id) -> Option<Self> {
        let (&[kind, class, key, location, n], view) = pickle.tuple(tuple)?.split_first_chunk()?;
        let Node::Global(Global::Storage(dtype)) = pickle.node(class) else { return None };
        if pickle.text(kind)? != "storage" || pickle.text(location).is_none() {
            return None;
        }
        let view = match *view {
            [] => None,
            [view] => match pickle.node(view) {
                Node::None => None,
                _ => match *pickle.tuple(view)? {
                    [_, first, n] => Some((pickle.count(first)?, pickle.count(n)?)),
                    _ => return None,
                },
            },
            _ => return None,
        };
        Some(Self { dtype, key: pickle.text(key)?, n: pickle.count(n)?, view })
    }

    /// Bytes of the whole storage, saturating at `u64::MAX`.
    pub(crate) fn byte_len(&self) -> u64 {
        (self.n as u64).saturating_mul(self.dtype.size() as u64)
    }

    /// Elements of the whole storage.
    pub(crate) fn len(&self) -> usize {
        self.n
    }

    /// The part of the whole storage `data` that is referred to; `None` if it reaches past the end.
    pub(crate) fn part<'d>(&self, data: &'d [u8]) -> Option<Storage<'d>> {
        let (first, n) = self.view.unwrap_or((0, self.n));
        let size = self.dtype.size();
        let start = first.checked_mul(size)?;
        let data = data.get(start..start.checked_add(n.checked_mul(size)?)?)?;
        Some(Storage { dtype: self.dtype, data })
    }
}
