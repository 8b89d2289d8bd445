//! Some of many, from all over.

use std::num::NonZero;

use fewstep_random::{Key, Stream};

/// `n` of the numbers below `len`, rising and spread evenly over all of them; all if there are no more than `n`.
///
/// For images that lie sorted by class or by time, of which the first `n` would be one class or one scene: each class has
/// its share to within one image. Of each of the `n` equal stretches one number is drawn, by a fixed key: a fixed step would
/// take only left eyes where left and right alternate.
///
/// ```
/// let some: Vec<usize> = fewstep_data::evenly(1000, 4).collect();
/// assert_eq!(some.len(), 4);
/// assert!(some.iter().enumerate().all(|(i, &at)| (250 * i..250 * (i + 1)).contains(&at)));
/// assert!(fewstep_data::evenly(3, 9).eq(0..3));
/// ```
pub fn evenly(len: usize, n: usize) -> impl Iterator<Item = usize> {
    let n = n.min(len);
    // No run has that many stages.
    let key = Key::new(0, u64::MAX, Stream::Order);
    // The first number of a stretch; the product fits 128 bits, and the quotient is no more than `len`.
    let start = move |i: usize| (i as u128 * len as u128 / n as u128) as usize;
    (0..n).map(move |i| {
        let (from, to) = (start(i), start(i + 1));
        // A stretch holds a number at least, since there are no more stretches than numbers.
        NonZero::new((to - from) as u64).map_or(from, |width| from + key.below(i as u64, width) as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_are_spread_and_are_the_same_again() {
        for (len, n) in [(0, 0), (0, 3), (1, 1), (7, 3), (10, 10), (10, 11), (1000, 999), (60_000, 37)] {
            let some: Vec<usize> = evenly(len, n).collect();
            assert_eq!(some.len(), n.min(len));
            assert!(some.is_sorted_by(|a, b| a < b) && some.iter().all(|&at| at < len), "{len} {n}");
            assert!(evenly(len, n).eq(some));
        }
        // Ten classes of 100 each, one after another: 20 of each in 200.
        let mut counts = [0; 10];
        evenly(1000, 200).for_each(|at| counts[at / 100] += 1);
        assert_eq!(counts, [20; 10]);
        let odd = evenly(1000, 500).filter(|at| at % 2 == 1).count();
        assert!((150..350).contains(&odd), "{odd}");
    }
}
