//! The random numbers of a case.

use std::cell::Cell;
use std::num::NonZero;

use fewstep_random::{Key, Stream};

/// The numbers of one case, one after the other.
pub(crate) struct Dice {
    key: Key,
    next: Cell<u64>,
}

impl Dice {
    /// Those of case `i` of a seed; `kind` keeps those of two kinds of cases apart.
    pub(crate) fn new(seed: u64, kind: u32, i: u64) -> Self {
        Self { key: Key::new(seed, i, Stream::Custom(kind)), next: Cell::new(0) }
    }

    /// A number below `n`.
    pub(crate) fn below(&self, n: usize) -> usize {
        let at = self.next.replace(self.next.get() + 1);
        self.key.below(at, NonZero::new(n as u64).unwrap()) as usize
    }

    pub(crate) fn one<T: Clone>(&self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// True once in `n` times.
    pub(crate) fn rarely(&self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A number in `[0, 1)`.
    pub(crate) fn unit(&self) -> f64 {
        self.below(1 << 30) as f64 / f64::from(1 << 30)
    }

    /// Pixels on a side of images that can be halved for so many levels, at most 4. At most 16, because attention in float64
    /// takes its time, and at least 8, because a sample of few pixels may be clipped to one value everywhere.
    pub(crate) fn resolution(&self, levels: usize) -> usize {
        self.one(if levels == 4 { &[16][..] } else { &[8, 12, 16] })
    }
}
