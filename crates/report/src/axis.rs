//! An axis of a chart: maps values to positions, and chooses the round values to mark.

/// How an axis maps values to positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Equal distances for equal differences.
    #[default]
    Linear,
    /// Equal distances for equal ratios; values of zero and below have no position.
    Log,
}

impl Scale {
    /// The coordinate of a value on an unbounded axis. `None` for NaN, infinities, and numbers so large that
    /// the difference of two overflows.
    fn coordinate(self, value: f64) -> Option<f64> {
        let coordinate = match self {
            Self::Linear => value,
            Self::Log => value.log10(),
        };
        (coordinate.abs() < 1e300).then_some(coordinate)
    }
}

/// A scale and the range of coordinates that the axis shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Axis {
    /// The axis that fits all values that have a position on it, with a margin on both sides, given as a
    /// fraction of their range.
    pub(crate) fn fit(scale: Scale, margin: f64, values: impl Iterator<Item = f64>) -> Self {
        let bounds = values.filter_map(|v| scale.coordinate(v)).fold(None, |bounds, c| match bounds {
            None => Some((c, c)),
            Some((low, high)) => Some((c.min(low), c.max(high))),
        });
        let (low, high): (f64, f64) = bounds.unwrap_or((0.0, 1.0));
        let size = low.abs().max(high.abs());
        let room = if high - low > size * 1e-9 {
            (high - low) * margin
        } else if size > 0.0 {
            size * 0.1 // constant, or so nearly constant that tick labels would be equal
        } else {
            1.0
        };
        Self { scale, low: low - room, high: high + room }
    }

    /// Position from 0 (low end) to 1 (high end); `None` for values that have no position.
    pub(crate) fn position(&self, value: f64) -> Option<f64> {
        self.scale.coordinate(value).map(|c| (c - self.low) / (self.high - self.low))
    }

    /// Positions and labels of round values.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        let values = match self.scale {
            Scale::Linear => round_multiples(self.low, self.high),
            Scale::Log => self.round_ratios(),
        };
        values.into_iter().filter_map(|(v, label)| Some((self.position(v)?, label))).collect()
    }

    fn round_ratios(&self) -> Vec<(f64, String)> {
        let (first, last) = (self.low.floor() as i32, self.high.ceil() as i32);
        let every = ((last - first) / 8 + 1) as usize;
        let factors: &[f64] = if self.high - self.low < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let values =
            (first..=last).step_by(every).flat_map(|e| factors.iter().map(move |f| f * 10f64.powi(e)));
        let visible: Vec<f64> = values.filter(|v| (self.low..=self.high).contains(&v.log10())).collect();
        if visible.len() < 2 {
            // The range is too short for the steps 1, 2, 5.
            return round_multiples(10f64.powf(self.low), 10f64.powf(self.high));
        }
        visible.into_iter().map(|v| (v, label(v, v))).collect()
    }
}

/// Four to ten multiples of 1, 2 or 5 times a power of ten within a range, with their labels.
fn round_multiples(low: f64, high: f64) -> Vec<(f64, String)> {
    let fifth = (high - low) / 5.0;
    let power = 10f64.powf(fifth.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().map(|f| f * power).find(|s| *s >= fifth).unwrap_or(10.0 * power);
    let first = (low / step).ceil();
    let values = (0..10).map(|k| (first + f64::from(k)) * step);
    values.take_while(|v| *v <= high).map(|v| (v, label(v, step))).collect()
}

/// A value with just enough digits to differ from its neighbour one step away.
fn label(value: f64, step: f64) -> String {
    let place = (step.abs().log10() + 1e-9).floor();
    if value.abs() < step * 1e-6 {
        return "0".to_owned();
    }
    if place < -4.0 || value.abs() >= 1e6 {
        let digits = ((value.abs().log10() + 1e-9).floor() - place).max(0.0) as usize;
        return format!("{value:.digits$e}");
    }
    let decimals = (-place).max(0.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, values: &[f64]) -> Vec<String> {
        Axis::fit(scale, 0.0, values.iter().copied()).ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn positions_run_from_end_to_end() {
        let linear = Axis::fit(Scale::Linear, 0.0, [2.0, 6.0, 3.0].into_iter());
        assert_eq!([2.0, 3.0, 6.0].map(|v| linear.position(v)), [Some(0.0), Some(0.25), Some(1.0)]);
        let log = Axis::fit(Scale::Log, 0.0, [0.1, 1000.0].into_iter());
        assert_eq!([0.1, 10.0, 1000.0].map(|v| log.position(v)), [Some(0.0), Some(0.5), Some(1.0)]);
        let roomy = Axis::fit(Scale::Linear, 0.5, [0.0, 1.0].into_iter());
        assert_eq!(roomy.position(0.0), Some(0.25));
    }

    #[test]
    fn values_without_a_position_are_none() {
        for scale in [Scale::Linear, Scale::Log] {
            let axis =
                Axis::fit(scale, 0.0, [f64::NAN, 1.0, f64::INFINITY, 10.0, f64::NEG_INFINITY].into_iter());
            assert_eq!((axis.position(1.0), axis.position(10.0)), (Some(0.0), Some(1.0)));
            assert_eq!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|v| axis.position(v)), [None; 3]);
        }
        let log = Axis::fit(Scale::Log, 0.0, [0.0, -5.0, 1.0, 10.0].into_iter());
        assert_eq!([0.0, -5.0, 1.0].map(|v| log.position(v)), [None, None, Some(0.0)]);
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(Scale::Linear, &[0.0, 1.0]), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(Scale::Linear, &[-3.0, 4.0]), ["-2", "0", "2", "4"]);
        assert_eq!(labels(Scale::Linear, &[0.0, 3e7]), ["0", "1e7", "2e7", "3e7"]);
        assert_eq!(labels(Scale::Log, &[0.01, 100.0]), ["0.01", "0.1", "1", "10", "100"]);
        assert_eq!(labels(Scale::Log, &[0.9, 12.0]), ["1", "2", "5", "10"]);
        assert_eq!(labels(Scale::Log, &[1e-9, 1e-6]), ["1e-9", "1e-8", "1e-7", "1e-6"]);
        assert_eq!(labels(Scale::Log, &[6.0, 9.5]), ["6", "7", "8", "9"]);
    }

    #[test]
    fn any_range_has_a_few_ticks_in_order_within_the_ends() {
        let ranges =
            [[0.0, 0.0], [5.0, 5.0], [1e-12, 1e12], [1.0, 1.0 + 1e-12], [-1e299, 1e299], [0.03, 0.0301]];
        for range in ranges {
            for scale in [Scale::Linear, Scale::Log] {
                let ticks = Axis::fit(scale, 0.05, range.into_iter()).ticks();
                assert!((2..=12).contains(&ticks.len()), "{scale:?} {range:?}: {ticks:?}");
                assert!(
                    ticks.iter().all(|(p, _)| (-1e-9..=1.0 + 1e-9).contains(p)),
                    "{scale:?} {range:?}: {ticks:?}"
                );
                assert!(
                    ticks.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 != w[1].1),
                    "{scale:?} {range:?}: {ticks:?}"
                );
            }
        }
        assert!(Axis::fit(Scale::Log, 0.0, std::iter::empty()).ticks().len() > 1);
    }
}
