//! Which metrics can be had from so many images.

use std::fmt;

use fewstep_eval::{Metric, MetricChoice};
use serde::{Deserialize, Serialize};

/// A metric that cannot be computed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotMeasured {
    /// The metric.
    pub metric: MetricChoice,
    /// Why not.
    pub reason: String,
}

impl fmt::Display for NotMeasured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be measured: {}", self.metric.name(), self.reason)
    }
}

/// Which metrics can be had from so many generated images and so many of the reference, if that is known; and the others.
pub fn feasible(
    metrics: &[MetricChoice],
    generated: u64,
    reference: Option<u64>,
) -> (Vec<MetricChoice>, Vec<NotMeasured>) {
    let (mut can, mut cannot) = (Vec::new(), Vec::new());
    for &metric in metrics {
        match lacking(metric.metric(), generated, reference) {
            None => can.push(metric),
            Some(reason) => cannot.push(NotMeasured { metric, reason }),
        }
    }
    (can, cannot)
}

/// What a metric lacks of so many images, in words; `None` if it can be had from them.
pub fn lacking(metric: &dyn Metric, generated: u64, reference: Option<u64>) -> Option<String> {
    let (least, least_of_reference) = metric.fewest();
    let mut lacks = Vec::new();
    if generated < least {
        lacks.push(format!("it needs at least {least} generated images, not {generated}"));
    }
    if let Some(have) = reference.filter(|&have| have < least_of_reference) {
        lacks.push(format!("it needs at least {least_of_reference} images of the data, not {have}"));
    }
    (!lacks.is_empty()).then(|| lacks.join(", and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use MetricChoice::{Frechet, FrechetInfinity, FrechetInterval, Kernel, PrecisionRecall};

    #[test]
    fn what_cannot_be_had_says_which_side_has_too_few_images() {
        let all = [Frechet, FrechetInterval, FrechetInfinity, Kernel, PrecisionRecall];
        let names = |generated, reference| feasible(&all, generated, reference).0;
        assert_eq!(names(70, Some(1)), []);
        assert_eq!(names(70, Some(3)), [Frechet, FrechetInterval, FrechetInfinity, Kernel]);
        assert_eq!(names(2, Some(1797)), [Frechet, FrechetInterval, Kernel]);
        assert_eq!(names(4, None), all);
        let told = feasible(&[PrecisionRecall], 3, Some(2)).1[0].to_string();
        assert!(told.starts_with("precision-recall cannot be measured"), "{told}");
        assert!(told.contains("at least 4 generated images, not 3, and it needs"), "{told}");
    }
}
