//! What a person sees of a run: a bar or plain lines, the metrics log, TensorBoard events.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fewstep_models::Model;
use fewstep_report::{EventWriter, MetricsLog};
use fewstep_train::{Error, ModelCard, ModelFile, Observer, Progress, Result, Stage, StepReport, TrainState};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::on_the_way::OnTheWay;

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

/// Where a run goes on.
pub(crate) struct GoingOn<'a> {
    /// Samples done of the run's total.
    pub(crate) samples: u64,
    pub(crate) total: u64,
    /// What the checkpoint remembers.
    pub(crate) memory: Option<&'a str>,
}

/// Writes a teacher as soon as it is trained.
pub(crate) struct TeacherOut<'a> {
    pub(crate) path: PathBuf,
    pub(crate) card: ModelCard,
    pub(crate) model: &'a Model,
}

/// The observer of the `train` command.
pub(crate) struct Watcher<'a> {
    log: MetricsLog,
    events: EventWriter,
    bar: ProgressBar,
    batch: u64,
    log_every: u64,
    window: Window,
    last_plain: Instant,
    teacher: Option<TeacherOut<'a>>,
    on_the_way: Option<OnTheWay<'a>>,
}

fn failed(e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Observer(Box::new(e))
}

impl<'a> Watcher<'a> {
    /// Lines of the log after the samples that are done are dropped, they will be written again.
    pub(crate) fn new(
        log_path: PathBuf,
        events_folder: &Path,
        bars: &MultiProgress,
        GoingOn { samples, total, memory }: GoingOn,
        config: &crate::config::TrainingConfig,
        (teacher, on_the_way): (Option<TeacherOut<'a>>, Option<OnTheWay<'a>>),
    ) -> anyhow::Result<Self> {
        let mut log = MetricsLog::open(log_path)?;
        log.truncate_from(|line| line["samples"].as_u64().is_none_or(|s| s > samples))?;
        let events = EventWriter::create(events_folder, Some(samples as i64 + 1))?;
        let bar = bars.add(ProgressBar::new(total));
        let style = "{msg} [{bar:30}] {human_pos}/{human_len} samples, {per_sec}, {eta} left";
        bar.set_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
        bar.set_position(samples);
        bar.reset_eta();
        let batch = config.batch as u64;
        let (log_every, window) = (config.log_every.max(1), Window::restored(memory));
        Ok(Self {
            log,
            events,
            bar,
            batch,
            log_every,
            window,
            last_plain: Instant::now(),
            teacher,
            on_the_way,
        })
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
            samples_per_second: if seconds > 0.0 { timed * self.batch as f64 / seconds } else { 0.0 },
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
        if progress.step.is_multiple_of(self.log_every) {
            self.write_line(progress)?;
            self.window.started = Some(Instant::now());
        }
        Ok(())
    }

    fn on_state(&mut self, stage: &Stage, index: usize, samples: u64, state: &TrainState) -> Result<()> {
        let Some(on_the_way) = &mut self.on_the_way else { return Ok(()) };
        // What is asked for is not training: the next window of speed starts after it.
        let before = Instant::now();
        let flat = &state.inference.flat;
        on_the_way
            .visit((&stage.name, index), samples, flat, &mut self.events)
            .map_err(|e| Error::Observer(e.into()))?;
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

    fn on_stage_end(&mut self, stage: &Stage, index: usize, state: &TrainState) -> Result<()> {
        tracing::info!("{} is done", stage.name);
        if let (0, Some(out)) = (index, &self.teacher) {
            ModelFile::save(&out.path, &out.card, out.model, &state.inference.flat)?;
            tracing::info!("wrote {}", out.path.display());
        }
        Ok(())
    }
}
