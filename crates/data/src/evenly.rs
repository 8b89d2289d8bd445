//! A subset of indices, spread evenly.

use std::num::NonZero;

use fewstep_random::{Key, Stream};

/// `n` of the numbers below `len`, ascending and spread evenly; all of them if `len <= n`.
///
/// Use it for images sorted by class or by time, of which the first `n` would be one class or one scene. Each class gets
/// its share to within one image. One number is drawn from each of `n` equal stretches, with a fixed key. A fixed step
/// would be biased for periodic data: of alternating left and right eyes it could take only one kind.
///
/// ```
/// let some: Vec<usize> = fewstep_data::evenly(1000, 4).collect();
/// assert_eq!(some.len(), 4);
/// assert!(some.iter().enumerate().all(|(i, &at)| (250 * i..250 * (i + 1)).contains(&at)));
/// assert!(fewstep_data::evenly(3, 9).eq(0..3));
/// ```
pub fn evenly(len: usize, n: usize) -> impl Iterator<Item = usize> {
    let n = n.min(len);
    // A stage number that no run uses.
    let key = Key::new(0, u64::MAX, Stream::Order);
    // The first number of a stretch. The product fits into 128 bits, and the quotient is at most `len`.
    let start = move |i: usize| (i as u128 * len as u128 / n as u128) as usize;
    (0..n).map(move |i| {
        let (from, to) = (start(i), start(i + 1));
        // A stretch has at least one number, since there are no more stretches than numbers.
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
        // Ten classes of 100 images each, one after another: 200 images have 20 of each class.
        let mut counts = [0; 10];
        evenly(1000, 200).for_each(|at| counts[at / 100] += 1);
        assert_eq!(counts, [20; 10]);
        let odd = evenly(1000, 500).filter(|at| at % 2 == 1).count();
        assert!((150..350).contains(&odd), "{odd}");
    }
}
