//! Which class an image of a conditional model has: a function of the image's seed and of a rule.

use std::num::NonZero;
use std::sync::Arc;

use fewstep_random::{Key, Stream};

/// How classes are chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LabelRule {
    /// Each seed draws its class, all classes alike.
    #[default]
    Uniform,
    /// Each seed draws its class, in proportion to a data set's.
    Frequencies(Frequencies),
    /// Every image has this class.
    One(i64),
}

/// How many images of each class a data set has, not all alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frequencies {
    /// Images of this class and of those before it.
    up_to: Arc<[u64]>,
    /// Of all classes.
    total: NonZero<u64>,
}

impl LabelRule {
    /// In proportion to `counts`, one a class. Equal counts are the uniform rule, and none at all are nothing to go by.
    pub fn of_counts(counts: &[u64]) -> Self {
        let up_to = counts.iter().scan(0u64, |sum, &count| {
            *sum = sum.saturating_add(count);
            Some(*sum)
        });
        let up_to: Arc<[u64]> = up_to.collect();
        let equal = counts.windows(2).all(|pair| pair[0] == pair[1]);
        match up_to.last().copied().and_then(NonZero::new) {
            Some(total) if !equal => Self::Frequencies(Frequencies { up_to, total }),
            _ => Self::Uniform,
        }
    }

    /// The class of the image with this seed, from a model of `n_classes`.
    pub fn label(&self, seed: u64, n_classes: NonZero<u64>) -> i64 {
        let key = Key::new(0, 0, Stream::SampleLabel);
        match self {
            Self::Uniform => key.below(seed, n_classes) as i64,
            Self::Frequencies(Frequencies { up_to, total }) => {
                let drawn = key.below(seed, *total);
                up_to.partition_point(|&sum| sum <= drawn) as i64
            }
            Self::One(class) => *class,
        }
    }
}

impl Frequencies {
    /// Images of each class.
    pub fn counts(&self) -> Vec<u64> {
        let before = std::iter::once(0).chain(self.up_to.iter().copied());
        self.up_to.iter().zip(before).map(|(sum, before)| sum - before).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(n: u64) -> NonZero<u64> {
        NonZero::new(n).unwrap()
    }

    #[test]
    fn labels_have_the_proportions_of_the_counts() {
        let counts = [3, 200, 0, 40, 7];
        let rule = LabelRule::of_counts(&counts);
        let LabelRule::Frequencies(frequencies) = &rule else { panic!("{rule:?}") };
        assert_eq!(frequencies.counts(), counts);
        let n = 100_000u64;
        let mut drawn = [0u64; 5];
        (0..n).for_each(|seed| drawn[rule.label(seed, classes(5)) as usize] += 1);
        for (got, count) in drawn.into_iter().zip(counts) {
            let share = count as f64 / 250.0;
            // Five standard deviations of the share.
            let tolerance = 5.0 * (share * (1.0 - share) / n as f64).sqrt();
            assert!((got as f64 / n as f64 - share).abs() <= tolerance, "{drawn:?}");
        }
        assert_eq!(drawn[2], 0, "a class without images is never drawn");
    }

    #[test]
    fn equal_counts_draw_what_the_uniform_rule_draws() {
        for counts in [&[5u64, 5, 5][..], &[], &[0, 0], &[7]] {
            assert_eq!(LabelRule::of_counts(counts), LabelRule::Uniform);
        }
        let key = Key::new(0, 0, Stream::SampleLabel);
        assert!(
            (0..50).all(
                |seed| LabelRule::Uniform.label(seed, classes(10)) == key.below(seed, classes(10)) as i64
            )
        );
        assert_eq!(LabelRule::One(3).label(17, classes(10)), 3);
        // Counts that nobody could have: no overflow.
        let wild = LabelRule::of_counts(&[u64::MAX, 1, u64::MAX]);
        assert!((0..50).all(|seed| wild.label(seed, classes(3)) == 0));
    }
}
