//! The middle and the ends of repeated measurements.

use std::fmt;

/// The middle and the ends of some measurements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// NaN for none.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |n: usize| sorted.get(n).copied().unwrap_or(f64::NAN);
        let (n, last) = (sorted.len(), sorted.len().saturating_sub(1));
        Self { min: at(0), median: (at(last / 2) + at(n / 2)) / 2.0, max: at(last) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, median, max } = self;
        // Four digits, however large.
        let digits = (3 - median.abs().max(1e-9).log10().floor() as i32).clamp(0, 6) as usize;
        write!(f, "{median:.digits$} ({min:.digits$} to {max:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_number_has_the_mean_of_the_middle_two() {
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 9.0]).median, 3.0);
        assert_eq!(Spread::of(&[4.0, 1.0, 2.5]).to_string(), "2.500 (1.000 to 4.000)");
        assert_eq!(Spread::of(&[12345.6]).to_string(), "12346 (12346 to 12346)");
        assert!(Spread::of(&[]).median.is_nan());
    }
}
