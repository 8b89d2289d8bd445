//! The metrics that configs and flags can name. A metric joins by its file and its lines here.

pub(crate) mod frechet;
pub(crate) mod frechet_infinity;
pub(crate) mod frechet_interval;
pub(crate) mod kernel;
pub(crate) mod precision_recall;

use crate::metric::Metric;
use crate::registry;

registry::choices! {
    /// A metric, by the name that configs and flags have.
    enum MetricChoice, "metric", metric -> Metric {
        /// Frechet distance: FID in Inception's space.
        Frechet = frechet::Frechet,
        /// Frechet distance with a bootstrap interval.
        FrechetInterval = frechet_interval::FrechetInterval,
        /// Frechet distance extrapolated to infinitely many images.
        FrechetInfinity = frechet_infinity::FrechetInfinity,
        /// Kernel distance, mean and deviation over subsets: KID in Inception's space.
        Kernel = kernel::Kernel,
        /// Improved precision and recall, k = 3.
        PrecisionRecall = precision_recall::Improved,
    }
}

impl MetricChoice {
    /// The metrics of these choices, each once, in the order of the list.
    #[must_use]
    pub fn metrics(choices: &[Self]) -> Vec<&'static dyn Metric> {
        Self::ALL.iter().filter(|choice| choices.contains(choice)).map(|choice| choice.metric()).collect()
    }
}

#[cfg(test)]
mod tests;
