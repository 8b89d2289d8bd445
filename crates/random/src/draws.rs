//! The samples of one step, by name.

use std::num::NonZero;
use std::ops::Range;

use crate::key::{Key, Stream};

/// The samples of one step: the seed and the stage of the run that they belong to, and their numbers.
///
/// Everything random about them (noise, flip, group, time, dropout) is drawn from here, so it belongs to the sample and
/// not to the batch that the sample happens to be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draws {
    seed: u64,
    stage: u64,
    ns: Vec<u64>,
}

impl Draws {
    /// The samples `ns` of `stage` of the run with `seed`.
    pub fn new(seed: u64, stage: u64, ns: Vec<u64>) -> Self {
        Self { seed, stage, ns }
    }

    /// The sample numbers.
    pub fn ns(&self) -> &[u64] {
        &self.ns
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.ns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ns.is_empty()
    }

    /// The samples at these positions of the batch.
    ///
    /// # Panics
    /// A range beyond the end, as slices do.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        Self { ns: self.ns[range].to_vec(), ..*self }
    }

    /// The key of one of these samples' streams.
    pub fn key(&self, stream: Stream) -> Key {
        Key::new(self.seed, self.stage, stream)
    }

    /// One draw of `stream` per sample, by a rule of the caller's: `draw` gets the stream's key and the sample's number.
    pub fn map<T>(&self, stream: Stream, draw: impl Fn(&Key, u64) -> T) -> Vec<T> {
        let key = self.key(stream);
        self.ns.iter().map(|&n| draw(&key, n)).collect()
    }

    /// A uniform number in `[0, 1)` per sample.
    pub fn units(&self, stream: Stream) -> Vec<f64> {
        self.map(stream, Key::unit)
    }

    /// A uniform integer in `0..bound` per sample.
    pub fn below(&self, stream: Stream, bound: NonZero<u64>) -> Vec<u64> {
        self.map(stream, |key, n| key.below(n, bound))
    }

    /// 64 random bits per sample.
    pub fn bits(&self, stream: Stream) -> Vec<u64> {
        self.map(stream, Key::bits)
    }

    /// `len` standard normal draws per sample, concatenated in the samples' order.
    pub fn normals(&self, stream: Stream, len: usize) -> Vec<f32> {
        self.key(stream).normals(&self.ns, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_keeps_its_draws_in_every_slice() {
        let all = Draws::new(3, 2, vec![4, 9, 2, 7]);
        let part = all.slice(1..3);
        assert_eq!((part.ns(), part.len()), (&[9, 2][..], 2));
        let ten = NonZero::new(10).unwrap();
        assert_eq!(part.below(Stream::Group, ten), all.below(Stream::Group, ten)[1..3]);
        assert_eq!(part.bits(Stream::Dropout), all.bits(Stream::Dropout)[1..3]);
        assert_eq!(part.normals(Stream::Noise, 5), all.normals(Stream::Noise, 5)[5..15]);
        assert_ne!(all.units(Stream::Time), Draws::new(3, 1, all.ns().to_vec()).units(Stream::Time));
    }
}
