//! A run: train or resume, write, measure.

mod during;
mod folder;
mod follower;
mod measuring;
mod observer;
mod page;
mod together;

use std::path::Path;

use anyhow::{Result, bail};
use fewstep_models::Network;
use fewstep_samplers::{LabelRule, ModelFile, Role};
use fewstep_torch::{Device, Tensor};
use fewstep_train::{CheckpointStore, Observer, Outcome, Share, TrainState, Trainer, hand_out};
use serde_json::json;

use crate::config::EvaluationConfig;
use crate::evaluation::{
    LabelRequest, Measured, Results, Subject, digest_of, from_first, labels, real_images,
};
use crate::feasibility::possible;
use crate::plan::{self, MemoryCount, Run};
use crate::session::{Session, Stopped};

use during::DuringTraining;
use follower::Follower;
use measuring::Measuring;
use observer::Watcher;
use page::write_page;
use together::trained_teacher;

pub use folder::{RunFolder, started_in};
pub use measuring::{as_teacher, steps_of};
pub use page::grid;

impl Run {
    /// Trains to the end of the plan, or goes on where an earlier start was interrupted; writes the models, measures teacher
    /// and student, and writes numbers, pictures and the report. All of it goes into the run's own folder in `runs`.
    ///
    /// The workers of the session do this together. Rank 0 alone reads and writes the folder; all return the numbers.
    ///
    /// # Errors
    /// Training or measuring fails, the folder cannot be written or holds another run, workers differ in what they begin with,
    /// one of them is gone, or the session is stopped: the same call then goes on.
    pub fn execute(&self, runs: &Path, session: &Session) -> Result<Results> {
        let results = self.as_one_of(runs, session);
        if let Err(e) = &results {
            session.workers.leave(&format!("{e:#}"));
        }
        results
    }

    fn as_one_of(&self, runs: &Path, session: &Session) -> Result<Results> {
        fewstep_torch::prepare()?;
        let workers = &session.workers;
        let device = self.setup.config.device.of_worker(workers.place())?;
        self.setup.config.compute.check(device)?;
        let on_gpu = matches!(device, Device::Cuda(_));
        fewstep_torch::set_deterministic(self.setup.config.training.deterministic || !on_gpu)?;
        let (batch, micro_batch) = (self.setup.plan.batch, self.setup.plan.micro_batch);
        Share::of(workers, batch, micro_batch).map_err(plan::in_training)?;
        self.agree(workers, device)?;
        let folder = match workers.is_first() {
            true => RunFolder::open(runs, &self.setup.config)?,
            false => RunFolder::of_rank_0(runs, &self.setup.config),
        };
        let count = self.setup.memory()?;
        for line in format!("{self}\n{count}").lines().filter(|_| workers.is_first()) {
            match line.strip_prefix("warning ") {
                Some(warning) => tracing::warn!("{}", warning.trim_start()),
                None => tracing::info!("{line}"),
            }
        }
        if on_gpu && let Err(said) = fewstep_torch::gpu_kernels(device) {
            tracing::warn!(
                "group norms are libtorch's own, and training takes longer, because fewstep's kernels do not run on this GPU: \
                 {}",
                said.trim_end()
            );
        }
        // Made once, by whichever part of the run measures first.
        let mut measuring = None;
        let trained = self.train(&folder, device, session, &mut measuring);
        let state = trained.map_err(|e| self.setup.with_advice(e, &count))?;
        let memory = match workers.is_first() {
            true => self.tell_memory(&folder, device, workers.size(), &count)?,
            false => None,
        };
        self.finish(&folder, &state, session, measuring, memory)
    }

    /// Trains to the end of the plan.
    fn train<'a>(
        &'a self,
        folder: &RunFolder,
        device: Device,
        session: &'a Session,
        measuring: &mut Option<Measuring<'a>>,
    ) -> Result<TrainState> {
        let (config, plan) = (&self.setup.config, &self.setup.plan);
        let keep = config.training.keep_checkpoints;
        let (workers, checkpoints) = (session.workers.as_ref(), folder.file("checkpoints"));
        let (store, found) = if workers.is_first() {
            let store = CheckpointStore::open(&checkpoints, self.origin.clone(), keep)?;
            let found = self.newest(&store, device)?;
            (store, Some(found))
        } else {
            (CheckpointStore::of_rank_0(&checkpoints, self.origin.clone()), None)
        };
        let (state, memory) = found.unzip();
        let (state, memory) = (hand_out(workers, state, plan, device)?, memory.flatten());
        if workers.is_first() {
            let deterministic = config.training.deterministic;
            write_run_record(folder, device, deterministic, workers.size(), None)?;
        }
        if state.stage == plan.stages.len() {
            return Ok(state);
        }
        let samples = plan.samples_before(state.stage) + state.nimg;
        let measuring = match config.evaluation.every {
            0 => None,
            _ => Some(&*measuring.insert(Measuring::prepare(self, device, session)?)),
        };
        let log = workers.is_first().then(|| folder.file("evaluations.jsonl"));
        let during = measuring.map(|measuring| DuringTraining::new(log, measuring, samples)).transpose()?;
        let trainer = Trainer { plan, store: &store, device };
        let follow = |observer: &mut dyn Observer| {
            trainer.run_among(workers, state, &self.dataset, &session.stop, observer)
        };
        let outcome = if workers.is_first() {
            let mut watcher = Watcher::new(self, folder, session, samples, memory.as_deref(), during)?;
            let outcome = follow(&mut watcher);
            watcher.finish();
            outcome
        } else {
            follow(&mut Follower { run: self, during })
        };
        match outcome? {
            Outcome::Finished(state) => Ok(state),
            Outcome::Stopped(path) => {
                tracing::info!("checkpoint {}", path.display());
                bail!(Stopped)
            }
        }
    }

    /// Says how much memory was held up to here, since this start of the program, and keeps it in the run's record.
    fn tell_memory(
        &self,
        folder: &RunFolder,
        device: Device,
        workers: usize,
        count: &MemoryCount,
    ) -> Result<Option<String>> {
        let Some((measured, told)) = count.beside_measured() else { return Ok(None) };
        tracing::info!("{told}");
        let memory = json!({ "most_bytes": measured, "counted_bytes": count.total() });
        let deterministic = self.setup.config.training.deterministic;
        write_run_record(folder, device, deterministic, workers, Some(memory))?;
        Ok(Some(told))
    }

    /// The state of the newest checkpoint with what it remembers for the log, or a run's start.
    fn newest(&self, store: &CheckpointStore, device: Device) -> Result<(TrainState, Option<String>)> {
        let Some(restored) = store.load_newest(&self.setup.plan, device).map_err(plan::explained)? else {
            return Ok((self.start(device)?, None));
        };
        for problem in &restored.passed_over {
            tracing::warn!("passed over a damaged checkpoint: {problem}");
        }
        tracing::info!("continuing from {}", restored.path.display());
        Ok((restored.state, restored.memory))
    }

    fn start(&self, device: Device) -> Result<TrainState> {
        let plan = &self.setup.plan;
        Ok(match &self.teacher {
            Some(file) => {
                let flat = file.flat.f_to_device(device)?.f_to_kind(plan.compute.student.kind())?;
                TrainState::from_student(flat, plan.adam)?
            }
            None => {
                let teacher: &dyn Network = self.setup.teacher().as_ref();
                TrainState::fresh(teacher, plan.seed, plan.adam, plan.compute.student, device)?
            }
        })
    }

    /// Writes the student, then measures teacher and student, and writes grids and the page.
    fn finish<'a>(
        &'a self,
        folder: &RunFolder,
        state: &TrainState,
        session: &'a Session,
        measuring: Option<Measuring<'a>>,
        memory: Option<String>,
    ) -> Result<Results> {
        let (config, plan) = (&self.setup.config, &self.setup.plan);
        let last = plan.stages.len() - 1;
        let card = self.card(&plan.stages[last], last)?;
        let network = self.setup.student();
        let workers = session.workers.as_ref();
        if workers.is_first() {
            ModelFile::save(&folder.student(), &card, network.as_ref(), &state.inference.flat)?;
            tracing::info!("wrote {}", folder.student().display());
        }

        let device = state.student.device();
        let loaded;
        let teacher_file = match &self.teacher {
            Some(file) => file,
            None => {
                loaded = trained_teacher(folder, workers)?;
                &loaded
            }
        };
        let compute = config.compute.sampling;
        let teacher = teacher_file.flat.f_to_device(device)?.f_to_kind(compute.kind())?;
        let (what, flat) = ("student", &state.inference.flat);
        let student = Subject { what, card: &card, network, flat, compute, digest: digest_of(flat)? };
        let teacher = Subject::of_file("teacher", teacher_file, &teacher, compute)?;
        let key = results_key(&student, &config.evaluation, &self.class_counts)?;
        let (path, mut saved) = (folder.file("results.json"), Ok(()));
        let stored = workers.is_first().then(|| Results::load(&path, &key));
        let results = match from_first(workers, stored)? {
            Some(results) => results,
            None => {
                let measuring = match measuring {
                    Some(measuring) => measuring,
                    None => Measuring::prepare(self, device, session)?,
                };
                let measured = self.measure(&measuring, folder, &student, &teacher)?;
                let evaluation = &config.evaluation;
                let not_measured = possible(evaluation, evaluation.samples, self.dataset.len() as u64).1;
                let results = Results { key, measured, not_measured };
                if workers.is_first() {
                    saved = results.save(&path);
                }
                results
            }
        };
        if !workers.is_first() {
            return Ok(results);
        }
        // The numbers first: a file that cannot be written takes nothing of them.
        for line in results.summary() {
            tracing::info!("{line}");
        }
        let page = write_page(folder, self, &results, memory, &["data", "teacher", "student"]);
        saved.and(page)?;
        tracing::info!(
            "wrote {} and the pictures in {}",
            folder.file("report.html").display(),
            folder.file("samples").display()
        );
        Ok(results)
    }

    /// Student and teacher at every number of steps asked for; the grids of data, student and best teacher.
    fn measure(
        &self,
        measuring: &Measuring,
        folder: &RunFolder,
        student: &Subject,
        teacher: &Subject,
    ) -> Result<Vec<Measured>> {
        let config = measuring.config;
        let n = (config.grid as usize).min(self.dataset.len());
        let pictures = measuring.workers().is_first();
        if pictures {
            picture(folder, "data", &real_images(self.dataset.as_ref(), 0, n)?);
        }
        let mut measured = Vec::new();
        let mut one = |(subject, role): (&Subject, Role), steps: Option<usize>, pictured: bool| {
            if !pictured && !measuring.can(config.samples) {
                return Ok(());
            }
            let outcome = measuring.model(subject, steps, config.samples)?;
            for record in &outcome.records {
                let (name, value) = (record.score.metric().name(), record.score.value());
                tracing::info!("{} at {} steps: {name} {value:.3}", subject.what, outcome.steps);
            }
            if pictured && pictures {
                picture(folder, subject.what, &Tensor::f_cat(&outcome.shown, 0)?);
            }
            measured.extend(Measured::of(role, outcome.steps, outcome.records));
            anyhow::Ok(())
        };
        for steps in steps_of(config, student.card) {
            one((student, Role::Student), steps, steps.is_none())?;
        }
        let steps = as_teacher(config);
        let most = steps.last().copied().flatten();
        for steps in steps {
            one((teacher, Role::Teacher), steps, steps == most)?;
        }
        Ok(measured)
    }
}

/// Where and by what the run was last worked on.
fn write_run_record(
    folder: &RunFolder,
    device: Device,
    deterministic: bool,
    workers: usize,
    memory: Option<serde_json::Value>,
) -> Result<()> {
    let on_gpu = matches!(device, Device::Cuda(_));
    let record = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "command": std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        // What relative paths in the config start from.
        "folder": std::env::current_dir().ok().map(|folder| folder.display().to_string()),
        "device": format!("{device:?}").to_lowercase(),
        // Of the last start, once its training is done.
        "memory": memory,
        "workers": workers,
        "deterministic": deterministic || !on_gpu,
        // Whether fewstep's own kernels computed the norms, which libtorch's do in another order.
        "gpu_kernels": on_gpu.then(|| fewstep_torch::gpu_kernels(device).is_ok()),
    });
    Ok(fewstep_files::write_atomically(&folder.record(), &serde_json::to_vec_pretty(&record)?)?)
}

/// Identifies what a run's numbers follow from, its data aside.
fn results_key(student: &Subject, evaluation: &EvaluationConfig, counts: &[u64]) -> Result<String> {
    let key = format!("{} {}", student.digest, serde_json::to_string(evaluation)?);
    let request = LabelRequest { usual: evaluation.labels, ..LabelRequest::default() };
    let rule = request.rule(student.card, student.what, counts)?;
    // Keys of earlier versions, which drew labels uniformly, name no rule.
    Ok(match rule {
        LabelRule::Uniform => key,
        rule => format!("{key} {}", labels(&rule, student.card.model.n_classes())),
    })
}

/// A grid of images, u8 `[n, C, H, W]`. One that cannot be written costs itself only.
fn picture(folder: &RunFolder, name: &str, images: &Tensor) {
    let path = folder.file(&format!("samples/{name}.png"));
    if let Err(e) = grid(images).and_then(|grid| Ok(grid.write_png(&path)?)) {
        tracing::warn!("no picture of the {name}: {e:#}");
    }
}
