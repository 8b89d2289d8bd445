//! Which of a run's numbers can be had from so many images, told before anything is trained.

use crate::config::EvaluationConfig;
use crate::evaluation::{MetricChoice, NotMeasured, feasible};

/// What a config's metrics can say of `samples` images against `n_data`, and what they cannot.
pub(crate) fn possible(
    config: &EvaluationConfig,
    samples: u64,
    n_data: u64,
) -> (Vec<MetricChoice>, Vec<NotMeasured>) {
    feasible(&config.metrics, samples, Some(n_data))
}

/// What cannot be measured of a run, at its end or on the way, as lines to be warned by.
pub(crate) fn warnings(config: &EvaluationConfig, n_data: u64) -> Vec<String> {
    let told = |samples: u64, when: &str| {
        let cannot = possible(config, samples, n_data).1;
        cannot.into_iter().map(|m| format!("{m}{when}")).collect::<Vec<_>>()
    };
    let mut lines = told(config.samples, "");
    if config.every > 0 {
        let on_the_way = told(config.every_samples, "").into_iter().filter(|line| !lines.contains(line));
        let on_the_way: Vec<String> = on_the_way.map(|line| format!("on the way, {line}")).collect();
        lines.extend(on_the_way);
    }
    lines
}
