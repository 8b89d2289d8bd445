//! Two programs measured in alternation, so that whatever else the machine does meets both.

use std::fmt;

use anyhow::Result;

/// Measurements of both, pair by pair; larger is better.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Pairs {
    /// Measures `n` pairs; which comes first changes from pair to pair. `each` hears of every pair.
    pub(crate) fn measure(
        n: usize,
        mut ours: impl FnMut() -> Result<f64>,
        mut theirs: impl FnMut() -> Result<f64>,
        mut each: impl FnMut(f64, f64),
    ) -> Result<Self> {
        let mut pairs = Self::default();
        for pair in 0..n {
            let (a, b) = if pair % 2 == 0 {
                let a = ours()?;
                (a, theirs()?)
            } else {
                let b = theirs()?;
                (ours()?, b)
            };
            each(a, b);
            pairs.ours.push(a);
            pairs.theirs.push(b);
        }
        Ok(pairs)
    }

    pub(crate) fn ours(&self) -> Spread {
        Spread::of(&self.ours)
    }

    pub(crate) fn theirs(&self) -> Spread {
        Spread::of(&self.theirs)
    }

    /// How many times ours is theirs: the ratio of the medians.
    pub(crate) fn ratio(&self) -> f64 {
        self.ours().median / self.theirs().median
    }

    /// The ratios within each pair.
    pub(crate) fn ratios(&self) -> Spread {
        Spread::of(&self.ours.iter().zip(&self.theirs).map(|(a, b)| a / b).collect::<Vec<_>>())
    }
}

/// The middle and the ends of some measurements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// NaN for none.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |n: usize| sorted.get(n).copied().unwrap_or(f64::NAN);
        let (n, last) = (sorted.len(), sorted.len().saturating_sub(1));
        Self { min: at(0), median: (at(last / 2) + at(n / 2)) / 2.0, max: at(last) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { min, median, max } = self;
        write!(f, "{median:.digits$} ({min:.digits$} to {max:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn the_order_alternates_and_the_median_decides() {
        let order = RefCell::new(String::new());
        let feed = |name: char, values: [f64; 3]| {
            let mut values = values.into_iter();
            let order = &order;
            move || {
                order.borrow_mut().push(name);
                Ok(values.next().unwrap())
            }
        };
        let pairs =
            Pairs::measure(3, feed('o', [8.0, 30.0, 9.0]), feed('t', [4.0, 3.0, 1.0]), |_, _| {}).unwrap();
        assert_eq!(order.into_inner(), "ottoot");
        assert_eq!(pairs.ours(), Spread { min: 8.0, median: 9.0, max: 30.0 });
        assert_eq!((pairs.ratio(), pairs.ratios().min, pairs.ratios().max), (3.0, 2.0, 10.0));
    }

    #[test]
    fn an_even_number_has_the_mean_of_the_middle_two() {
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 9.0]).median, 3.0);
        assert_eq!(Spread::of(&[4.0, 1.0, 2.5]).to_string(), "2.50 (1.00 to 4.00)");
        assert!(Spread::of(&[]).median.is_nan());
    }
}
