//! What a person sees of a run: a bar or plain lines, the metrics log, TensorBoard events.

use std::path::Path;
use std::time::{Duration, Instant};

use fewstep_report::{EventWriter, MetricsLog};
use fewstep_samplers::{ModelFile, Role};
use fewstep_train::{Error, Observer, Progress, Result, Stage, StepReport, TrainState};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::plan::Run;
use crate::run::during::DuringTraining;
use crate::run::folder::RunFolder;
use crate::session::Session;

/// Time between two plain lines when no bar can be drawn.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Line<'a> {
    stage: &'a str,
    step: u64,
    samples: u64,
    loss: f64,
    grad_norm: f64,
    lr: f64,
    samples_per_second: f64,
}

/// Sums since the last line of the log. A checkpoint keeps them, so that the line that an interruption falls into has the
/// means of an uninterrupted run; how fast its steps were, nobody knows.
#[derive(Default)]
struct Window {
    steps: u64,
    loss: f64,
    grad_norm: f64,
    started: Option<Instant>,
    /// Of the steps, those that were taken before an interruption.
    untimed: u64,
}

/// A window in a checkpoint; sums as their bits, as a gradient that is not finite has no JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptWindow {
    steps: u64,
    loss_bits: u64,
    grad_norm_bits: u64,
}

impl Window {
    fn kept(&self) -> KeptWindow {
        let (loss_bits, grad_norm_bits) = (self.loss.to_bits(), self.grad_norm.to_bits());
        KeptWindow { steps: self.steps, loss_bits, grad_norm_bits }
    }

    /// The window that a checkpoint kept. One that another version wrote is no reason to stop: it costs a line of the log some
    /// steps.
    fn restored(memory: Option<&str>) -> Self {
        let Some(memory) = memory else { return Self::default() };
        match serde_json::from_str::<KeptWindow>(memory) {
            Ok(kept) => {
                let (loss, grad_norm) = (f64::from_bits(kept.loss_bits), f64::from_bits(kept.grad_norm_bits));
                Self { steps: kept.steps, loss, grad_norm, started: None, untimed: kept.steps }
            }
            Err(e) => {
                tracing::warn!("what the checkpoint remembers of the log cannot be read: {e}");
                Self::default()
            }
        }
    }
}

/// The observer of a run.
pub(crate) struct Watcher<'a> {
    run: &'a Run,
    folder: &'a RunFolder,
    log: MetricsLog,
    events: EventWriter,
    bar: ProgressBar,
    window: Window,
    last_plain: Instant,
    during: Option<DuringTraining<'a>>,
}

fn failed(e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Observer(Box::new(e))
}

impl<'a> Watcher<'a> {
    /// Goes on after `samples` samples, with what the checkpoint kept for it. Later lines of the log are dropped, they will
    /// be written again.
    pub(crate) fn new(
        run: &'a Run,
        folder: &'a RunFolder,
        session: &Session,
        samples: u64,
        memory: Option<&str>,
        during: Option<DuringTraining<'a>>,
    ) -> anyhow::Result<Self> {
        let mut log = MetricsLog::open(folder.file("metrics.jsonl"))?;
        log.truncate_from(|line| line["samples"].as_u64().is_none_or(|s| s > samples))?;
        let events = EventWriter::create(&folder.file("tb"), Some(samples as i64 + 1))?;
        let bar = session.bars.add(ProgressBar::new(run.setup.plan.total_samples()));
        let style = "{msg} [{bar:30}] {human_pos}/{human_len} samples, {per_sec}, {eta} left";
        bar.set_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
        bar.set_position(samples);
        bar.reset_eta();
        let window = Window::restored(memory);
        Ok(Self { run, folder, log, events, bar, window, last_plain: Instant::now(), during })
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn write_line(&mut self, p: &Progress) -> Result<()> {
        let w = std::mem::take(&mut self.window);
        let n = w.steps.max(1) as f64;
        let timed = w.steps.saturating_sub(w.untimed) as f64;
        let seconds = w.started.map_or(0.0, |s| s.elapsed().as_secs_f64());
        let line = Line {
            stage: &p.stage.name,
            step: p.step,
            samples: p.samples,
            loss: w.loss / n,
            grad_norm: w.grad_norm / n,
            lr: p.lr,
            samples_per_second: if seconds > 0.0 {
                timed * self.run.setup.plan.batch as f64 / seconds
            } else {
                0.0
            },
        };
        self.log.write(&line).map_err(failed)?;
        for (tag, value) in [("loss", line.loss), ("grad_norm", line.grad_norm), ("lr", line.lr)] {
            self.events.scalar(tag, p.samples as i64, value as f32).map_err(failed)?;
        }
        let message = format!("{} loss {:.3}", p.stage.name, line.loss);
        if self.bar.is_hidden() && self.last_plain.elapsed() >= PLAIN_EVERY {
            self.last_plain = Instant::now();
            let left = (self.bar.length().unwrap_or(0).saturating_sub(p.samples)) as f64;
            let eta = left / line.samples_per_second.max(1e-9);
            tracing::info!(
                "{message}, {} samples, {:.0} samples/s, {eta:.0} s left",
                p.samples,
                line.samples_per_second
            );
        }
        self.bar.set_message(message);
        Ok(())
    }
}

impl Observer for Watcher<'_> {
    fn on_step(&mut self, progress: &Progress, report: &StepReport) -> Result<()> {
        if self.window.started.is_none() {
            // The first step of a window is timed from the end of the one before.
            self.window.started = Some(Instant::now());
        }
        self.window.steps += 1;
        self.window.loss += report.loss;
        self.window.grad_norm += report.grad_norm;
        self.bar.set_position(progress.samples);
        if progress.step.is_multiple_of(self.run.setup.config.training.log_every.max(1)) {
            self.write_line(progress)?;
            self.window.started = Some(Instant::now());
        }
        Ok(())
    }

    fn on_state(&mut self, stage: &Stage, samples: u64, state: &TrainState) -> Result<()> {
        let Some(during) = self.during.as_mut().filter(|during| during.is_due(samples)) else {
            return Ok(());
        };
        // A measurement is not training: the next window of speed starts after it.
        let before = Instant::now();
        let measured = self.run.card(stage, state.stage).and_then(|card| {
            during.measure(stage, &card, samples, &state.inference.flat, Some(&mut self.events))
        });
        measured.map_err(|e| Error::Observer(e.into()))?;
        if let Some(started) = &mut self.window.started {
            *started += before.elapsed();
        }
        Ok(())
    }

    fn memory(&mut self) -> Result<Option<String>> {
        // A checkpoint counts on every line that was written before it.
        self.log.sync().map_err(failed)?;
        Ok(Some(serde_json::to_string(&self.window.kept()).map_err(failed)?))
    }

    fn on_checkpoint(&mut self, path: &Path, samples: u64) -> Result<()> {
        tracing::debug!("checkpoint at {samples} samples: {}", path.display());
        Ok(())
    }

    /// A trained teacher is written as soon as it is there.
    fn on_stage_end(&mut self, stage: &Stage, state: &TrainState) -> Result<()> {
        tracing::info!("{} is done", stage.name);
        if stage.makes.role == Role::Teacher {
            let card = self.run.card(stage, state.stage).map_err(|e| Error::Observer(e.into()))?;
            let path = self.folder.teacher();
            ModelFile::save(&path, &card, stage.network.as_ref(), &state.inference.flat)?;
            tracing::info!("wrote {}", path.display());
        }
        Ok(())
    }
}
