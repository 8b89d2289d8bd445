//! What a run measures: its reference, made once, and the models at their numbers of steps.

use std::sync::atomic::AtomicBool;

use anyhow::Result;
use fewstep_eval::{Extractor, Grey, Seeds};
use fewstep_torch::Device;
use fewstep_train::ModelCard;
use indicatif::MultiProgress;

use crate::config::EvaluationConfig;
use crate::evaluation::{Evaluator, FeatureOptions, Outcome, ReferenceSet, Subject, Wanted};
use crate::plan::Plan;

/// The measuring side of a run.
pub(crate) struct Measuring<'a> {
    pub(crate) config: &'a EvaluationConfig,
    extractor: Extractor,
    reference: ReferenceSet,
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
        // A run's data and its samples are of one kind: grey samples of grey data are no mistake.
        let options = FeatureOptions { weights: None, grey: Grey::Replicate, device };
        let extractor = config.features.extractor(dataset.shape(), &options)?;
        let rows = config.metrics.iter().any(|m| m.needs_reference_rows());
        let wanted = Wanted { features: config.features, extractor: &extractor, rows };
        let reference = ReferenceSet::of_dataset(dataset, wanted, bars, stop)?;
        Ok(Self { config, extractor, reference, bars, stop })
    }

    /// A model at `steps` steps, or its own number, over `count` images.
    pub(crate) fn model(&self, subject: &Subject, steps: Option<usize>, count: u64) -> Result<Outcome> {
        let evaluator = Evaluator {
            extractor: &self.extractor,
            reference: &self.reference,
            metrics: &self.config.metrics,
            quantisation: self.config.quantisation,
            batch: self.config.batch,
            bars: self.bars,
            stop: self.stop,
        };
        let seeds = Seeds { first: self.config.first_seed, count };
        evaluator.model(subject, steps, (seeds, None), self.config.grid)
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
