//! What a run measures: its reference, made once, and the models at their numbers of steps.

use anyhow::Result;
use fewstep_eval::{Grey, MetricChoice, Seeds};
use fewstep_samplers::{ModelCard, Role};
use fewstep_torch::{Device, Workers};

use crate::config::EvaluationConfig;
use crate::evaluation::{
    Evaluator, FeatureOptions, LabelRequest, Outcome, ReferenceSet, ReferenceSpec, Subject, Yardstick,
    extractor,
};
use crate::feasibility::possible;
use crate::plan::Run;
use crate::session::Session;

/// The measuring side of a run.
pub(crate) struct Measuring<'a> {
    pub(crate) config: &'a EvaluationConfig,
    /// `None` where there are too few images for any metric.
    yardstick: Option<Yardstick>,
    /// Of the data.
    class_counts: &'a [u64],
    n_data: u64,
    session: &'a Session,
}

impl<'a> Measuring<'a> {
    /// Opens the feature space of the plan's evaluation and takes the reference from the plan's data.
    pub(crate) fn prepare(run: &'a Run, device: Device, session: &'a Session) -> Result<Self> {
        let config = &run.setup.config.evaluation;
        let dataset = run.dataset.as_ref();
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
                let extractor = extractor(config.features.space(), dataset.shape(), &options)?;
                let rows = metrics.iter().any(|m| m.metric().needs_reference_rows());
                let spec = ReferenceSpec { extractor: &extractor, rows };
                let reference = ReferenceSet::of_dataset(dataset, spec, session)?;
                Some(Yardstick { extractor, reference })
            }
        };
        Ok(Self { config, yardstick, class_counts: &run.class_counts, n_data, session })
    }

    /// A model at `steps` steps, or its own number, over `count` images; where nothing can be measured of so many, only the
    /// images that are shown are made.
    pub(crate) fn model(&self, subject: &Subject, steps: Option<usize>, count: u64) -> Result<Outcome> {
        let metrics = MetricChoice::metrics(&possible(self.config, count, self.n_data).0);
        let evaluator = Evaluator {
            yardstick: self.yardstick.as_ref(),
            metrics: &metrics,
            quantisation: self.config.quantisation,
            batch: self.config.batch,
            session: self.session,
        };
        let labels = LabelRequest { usual: self.config.labels, ..LabelRequest::default() };
        let labels = labels.rule(subject.card, subject.what, self.class_counts)?;
        let count = if metrics.is_empty() { self.config.grid } else { count };
        let seeds = Seeds { first: self.config.first_seed, count };
        evaluator.model(subject, steps, seeds, &labels, self.config.grid)
    }

    /// Who measures together.
    pub(crate) fn workers(&self) -> &Workers {
        &self.session.workers
    }

    /// Whether anything can be measured of so many images.
    pub(crate) fn can(&self, count: u64) -> bool {
        !possible(self.config, count, self.n_data).0.is_empty()
    }
}

/// The numbers of steps that the model with this card is measured at. A student: its own, then the others asked for. A
/// teacher: those asked for, ascending, or its own if none is named.
pub fn steps_of(config: &EvaluationConfig, card: &ModelCard) -> Vec<Option<usize>> {
    match card.role {
        Role::Student => {
            std::iter::once(None).chain(config.other_student_steps(card.own_steps()).map(Some)).collect()
        }
        Role::Teacher => as_teacher(config),
    }
}

/// The numbers of steps that whatever teaches is measured at, also where it is a student of another run.
pub fn as_teacher(config: &EvaluationConfig) -> Vec<Option<usize>> {
    match config.ascending_teacher_steps() {
        steps if steps.is_empty() => vec![None],
        steps => steps.into_iter().map(Some).collect(),
    }
}
