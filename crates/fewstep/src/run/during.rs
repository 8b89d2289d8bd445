//! Measurements inside training, at even distances in samples: one line of `evaluations.jsonl` each.

use std::path::PathBuf;

use anyhow::Result;
use fewstep_report::{EventWriter, MetricsLog, read_metrics};
use fewstep_samplers::ModelCard;
use fewstep_torch::Tensor;
use fewstep_train::Stage;
use serde::{Deserialize, Serialize};

use crate::evaluation::{Measured, Subject, digest_of, from_first};
use crate::run::measuring::{Measuring, steps_of};
use crate::session::Stopped;

/// One line of the log.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    pub(crate) samples: u64,
    pub(crate) stage: String,
    pub(crate) measured: Vec<Measured>,
}

/// Measures a run's models while they are trained.
pub(crate) struct DuringTraining<'a> {
    measuring: &'a Measuring<'a>,
    /// Rank 0's.
    log: Option<MetricsLog>,
    /// Samples of the run at the last measurement.
    last: u64,
}

impl<'a> DuringTraining<'a> {
    /// Goes on after `samples` samples: later lines of the log are dropped, they will be written again. Rank 0 gives the log's
    /// path.
    pub(crate) fn new(path: Option<PathBuf>, measuring: &'a Measuring<'a>, samples: u64) -> Result<Self> {
        let (mut log, mut last) = (None, None);
        if let Some(path) = path {
            let mut opened = MetricsLog::open(&path)?;
            opened.truncate_from(|line| line["samples"].as_u64().is_none_or(|s| s > samples))?;
            let lines = read_metrics(&path)?;
            last = Some(lines.iter().filter_map(|line| line["samples"].as_u64()).max().unwrap_or(0));
            log = Some(opened);
        }
        Ok(Self { measuring, log, last: from_first(measuring.workers(), last)? })
    }

    /// Whether it is time to measure.
    pub(crate) fn is_due(&self, samples: u64) -> bool {
        let every = self.measuring.config.every;
        samples / every != self.last / every && self.measuring.can(self.measuring.config.every_samples)
    }

    /// Measures the parameters in training, `flat`, as the model that the stage would leave now. A request to stop ends it
    /// without a line: the resumed run measures here again.
    pub(crate) fn measure(
        &mut self,
        stage: &Stage,
        card: &ModelCard,
        samples: u64,
        flat: &Tensor,
        mut events: Option<&mut EventWriter>,
    ) -> Result<()> {
        let (config, role) = (self.measuring.config, stage.makes.role);
        let what = role.to_string();
        let digest = digest_of(flat)?;
        let (network, compute) = (&stage.network, card.compute);
        let subject = Subject { what: &what, card, network, flat, compute, digest };
        let mut measured = Vec::new();
        for steps in steps_of(config, card) {
            match self.measuring.model(&subject, steps, config.every_samples) {
                Ok(outcome) => measured.extend(Measured::of(role, outcome.steps, outcome.records)),
                Err(e) if e.is::<Stopped>() => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        for m in &measured {
            let (name, value) = (m.record.score.metric().name(), m.record.score.value());
            tracing::info!("{samples} samples: {name} of the {what} at {} steps {value:.3}", m.steps);
            let Some(events) = events.as_deref_mut() else { continue };
            events.scalar(&format!("{name} {what} {} steps", m.steps), samples as i64, value as f32)?;
        }
        if let Some(log) = &mut self.log {
            log.write(&Point { samples, stage: stage.name.clone(), measured })?;
        }
        self.last = samples;
        Ok(())
    }
}
