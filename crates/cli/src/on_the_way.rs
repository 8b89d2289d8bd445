//! Measurements inside training, at even distances in samples: one line of `evaluations.jsonl` each.

use std::path::PathBuf;

use anyhow::Result;
use fewstep_models::Model;
use fewstep_report::{EventWriter, MetricsLog, read_metrics};
use fewstep_torch::Tensor;
use fewstep_train::ModelCard;
use serde::{Deserialize, Serialize};

use crate::evaluation::{Measured, Subject, digest_of};
use crate::measuring::{Measuring, student_steps, teacher_steps};
use crate::signals::Stopped;

/// One line of the log.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    pub(crate) samples: u64,
    pub(crate) stage: String,
    pub(crate) measured: Vec<Measured>,
}

/// What is trained in a stage: `teacher` or `student`, and the card of the model that would be written now.
pub(crate) struct StageSubject<'a> {
    pub(crate) what: &'static str,
    pub(crate) card: ModelCard,
    pub(crate) model: &'a Model,
}

/// Measures a run's models while they are trained.
pub(crate) struct OnTheWay<'a> {
    measuring: &'a Measuring<'a>,
    subjects: Vec<StageSubject<'a>>,
    log: MetricsLog,
    /// Samples of the run at the last measurement.
    last: u64,
}

impl<'a> OnTheWay<'a> {
    /// Goes on after `samples` samples: later lines of the log are dropped, they will be written again.
    pub(crate) fn new(
        path: PathBuf,
        measuring: &'a Measuring<'a>,
        subjects: Vec<StageSubject<'a>>,
        samples: u64,
    ) -> Result<Self> {
        let mut log = MetricsLog::open(&path)?;
        log.truncate_from(|line| line["samples"].as_u64().is_none_or(|s| s > samples))?;
        let last = read_metrics(&path)?.iter().filter_map(|line| line["samples"].as_u64()).max();
        Ok(Self { measuring, subjects, log, last: last.unwrap_or(0) })
    }

    /// Measures the parameters in training if it is time to. A request to stop ends it without a line: the resumed run
    /// measures here again.
    pub(crate) fn visit(
        &mut self,
        (stage, index): (&str, usize),
        samples: u64,
        flat: &Tensor,
        events: &mut EventWriter,
    ) -> Result<()> {
        let every = self.measuring.config.every;
        if samples / every == self.last / every || !self.measuring.can(self.measuring.config.every_samples) {
            return Ok(());
        }
        let Some(StageSubject { what, card, model }) = self.subjects.get(index) else { return Ok(()) };
        let steps = match *what {
            "teacher" => teacher_steps(self.measuring.config),
            _ => student_steps(self.measuring.config, card),
        };
        let subject = Subject { what, card, model, flat, digest: digest_of(flat)? };
        let mut measured = Vec::new();
        for steps in steps {
            match self.measuring.model(&subject, steps, self.measuring.config.every_samples) {
                Ok(outcome) => measured.extend(Measured::of(what, outcome.steps, outcome.records)),
                Err(e) if e.is::<Stopped>() => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        for m in &measured {
            let (name, value) = (m.record.score.metric().name(), m.record.score.value());
            tracing::info!("{samples} samples: {name} of the {what} at {} steps {value:.3}", m.steps);
            events.scalar(&format!("{name} {what} {} steps", m.steps), samples as i64, value as f32)?;
        }
        self.log.write(&Point { samples, stage: stage.to_owned(), measured })?;
        self.last = samples;
        Ok(())
    }
}
