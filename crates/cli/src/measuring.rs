//! What a run measures: its reference, made once, and the models at their numbers of steps.

use std::sync::atomic::AtomicBool;

use anyhow::Result;
use fewstep_eval::{Grey, Seeds};
use fewstep_torch::Device;
use fewstep_train::ModelCard;
use indicatif::MultiProgress;

use crate::config::EvaluationConfig;
use crate::evaluation::{
    Evaluator, FeatureOptions, LabelRequest, Outcome, ReferenceSet, Subject, Wanted, Yardstick,
};
use crate::feasibility::possible;
use crate::plan::Plan;

/// The measuring side of a run.
pub(crate) struct Measuring<'a> {
    pub(crate) config: &'a EvaluationConfig,
    /// `None` where there are too few images for any metric.
    yardstick: Option<Yardstick>,
    /// Of the data.
    class_counts: &'a [u64],
    n_data: u64,
    bars: &'a MultiProgress,
    stop: &'a AtomicBool,
}

impl<'a> Measuring<'a> {
    /// Opens the feature space of the plan's evaluation and takes the reference from the plan's data.
    pub(crate) fn prepare(
        plan: &'a Plan,
        device: Device,
        bars: &'a MultiProgress,
        stop: &'a AtomicBool,
    ) -> Result<Self> {
        let config = &plan.outline.config.evaluation;
        let dataset = plan.dataset.as_ref();
        let n_data = dataset.len() as u64;
        let (mut metrics, _) = possible(config, config.samples, n_data);
        if config.every > 0 {
            metrics.extend(possible(config, config.every_samples, n_data).0);
        }
        let yardstick = match metrics.is_empty() {
            true => None,
            false => {
                // A run's data and its samples are of one kind: grey samples of grey data are no mistake.
                let options = FeatureOptions { weights: None, grey: Grey::Replicate, device };
                let extractor = config.features.extractor(dataset.shape(), &options)?;
                let rows = metrics.iter().any(|m| m.needs_reference_rows());
                let wanted = Wanted { features: config.features, extractor: &extractor, rows };
                let reference = ReferenceSet::of_dataset(dataset, wanted, bars, stop)?;
                Some(Yardstick { extractor, reference })
            }
        };
        Ok(Self { config, yardstick, class_counts: &plan.class_counts, n_data, bars, stop })
    }

    /// A model at `steps` steps, or its own number, over `count` images; where nothing can be measured of so many, only the
    /// images that are shown are made.
    pub(crate) fn model(&self, subject: &Subject, steps: Option<usize>, count: u64) -> Result<Outcome> {
        let (metrics, _) = possible(self.config, count, self.n_data);
        let evaluator = Evaluator {
            yardstick: self.yardstick.as_ref(),
            metrics: &metrics,
            quantisation: self.config.quantisation,
            batch: self.config.batch,
            bars: self.bars,
            stop: self.stop,
        };
        let labels = LabelRequest { usual: self.config.labels, ..LabelRequest::default() };
        let labels = labels.rule(subject.card, subject.what, self.class_counts)?;
        let count = if metrics.is_empty() { self.config.grid } else { count };
        let seeds = Seeds { first: self.config.first_seed, count };
        evaluator.model(subject, steps, (seeds, &labels), self.config.grid)
    }

    /// Whether anything can be measured of so many images.
    pub(crate) fn can(&self, count: u64) -> bool {
        !possible(self.config, count, self.n_data).0.is_empty()
    }
}

/// The numbers of steps that a student is measured at: its own, then the others asked for.
pub(crate) fn student_steps(config: &EvaluationConfig, card: &ModelCard) -> Vec<Option<usize>> {
    let own = card.visits.len().saturating_sub(1);
    std::iter::once(None).chain(config.other_student_steps(own).map(Some)).collect()
}

/// The numbers of steps that a teacher is measured at, ascending; its own if none is named.
pub(crate) fn teacher_steps(config: &EvaluationConfig) -> Vec<Option<usize>> {
    let steps = config.ascending_teacher_steps();
    if steps.is_empty() { vec![None] } else { steps.into_iter().map(Some).collect() }
}
