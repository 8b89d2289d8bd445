//! A run: train or resume, write, measure.

mod during;
mod folder;
mod measuring;
mod observer;
mod page;

use std::path::Path;

use anyhow::{Result, bail};
use fewstep_models::Network;
use fewstep_samplers::{LabelRule, ModelFile, Role};
use fewstep_torch::{Device, Tensor};
use fewstep_train::{CheckpointStore, Outcome, TrainState, Trainer};
use serde_json::json;

use crate::config::EvaluationConfig;
use crate::evaluation::{LabelRequest, Measured, Results, Subject, digest_of, labels, real_images};
use crate::feasibility::possible;
use crate::plan::{self, Run};
use crate::session::{Session, Stopped};

use during::DuringTraining;
use measuring::Measuring;
use observer::Watcher;
use page::write_page;

pub use folder::{RunFolder, started_in};
pub use measuring::{as_teacher, steps_of};
pub use page::grid;

impl Run {
    /// Trains to the end of the plan, or goes on where an earlier start was interrupted; writes the models, measures teacher
    /// and student, and writes numbers, pictures and the report. All of it goes into the run's own folder in `runs`.
    ///
    /// # Errors
    /// Training or measuring fails, the folder cannot be written or holds another run, or the session is stopped: the same
    /// call then goes on.
    pub fn execute(&self, runs: &Path, session: &Session) -> Result<Results> {
        fewstep_torch::prepare()?;
        let device = self.setup.config.device.resolve()?;
        self.setup.config.compute.check(device)?;
        let on_gpu = matches!(device, Device::Cuda(_));
        fewstep_torch::set_deterministic(self.setup.config.training.deterministic || !on_gpu)?;
        let folder = RunFolder::open(runs, &self.setup.config)?;
        for line in self.to_string().lines() {
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
        let state = self.train(&folder, device, session, &mut measuring)?;
        self.finish(&folder, &state, session, measuring)
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
        let store = CheckpointStore::open(&folder.file("checkpoints"), self.origin.clone(), keep)?;
        let (state, memory) = match store.load_newest(plan, device).map_err(plan::explained)? {
            Some(restored) => {
                for problem in &restored.passed_over {
                    tracing::warn!("passed over a damaged checkpoint: {problem}");
                }
                tracing::info!("continuing from {}", restored.path.display());
                (restored.state, restored.memory)
            }
            None => (self.start(device)?, None),
        };
        write_run_record(folder, device, config.training.deterministic)?;
        if state.stage == plan.stages.len() {
            return Ok(state);
        }
        let samples = plan.samples_before(state.stage) + state.nimg;
        let measuring = match config.evaluation.every {
            0 => None,
            _ => Some(&*measuring.insert(Measuring::prepare(self, device, session)?)),
        };
        let during = measuring
            .map(|measuring| DuringTraining::new(folder.file("evaluations.jsonl"), measuring, samples))
            .transpose()?;
        let mut watcher = Watcher::new(self, folder, session, samples, memory.as_deref(), during)?;
        let trainer = Trainer { plan, store: &store, device };
        let outcome = trainer.run(state, &self.dataset, &session.stop, &mut watcher);
        watcher.finish();
        match outcome? {
            Outcome::Finished(state) => Ok(state),
            Outcome::Stopped(path) => {
                tracing::info!("checkpoint {}", path.display());
                bail!(Stopped)
            }
        }
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
    ) -> Result<Results> {
        let (config, plan) = (&self.setup.config, &self.setup.plan);
        let last = plan.stages.len() - 1;
        let card = self.card(&plan.stages[last], last)?;
        let network = self.setup.student();
        ModelFile::save(&folder.student(), &card, network.as_ref(), &state.inference.flat)?;
        tracing::info!("wrote {}", folder.student().display());

        let device = state.student.device();
        let loaded;
        let teacher_file = match &self.teacher {
            Some(file) => file,
            None => {
                loaded = ModelFile::load(&folder.teacher())?;
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
        let results = match Results::load(&path, &key) {
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
                saved = results.save(&path);
                results
            }
        };
        // The numbers first: a file that cannot be written takes nothing of them.
        for line in results.summary() {
            tracing::info!("{line}");
        }
        let page = write_page(folder, self, &results, &["data", "teacher", "student"]);
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
        picture(folder, "data", &real_images(self.dataset.as_ref(), 0, n)?);
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
            if pictured {
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
fn write_run_record(folder: &RunFolder, device: Device, deterministic: bool) -> Result<()> {
    let on_gpu = matches!(device, Device::Cuda(_));
    let record = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "command": std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        // What relative paths in the config start from.
        "folder": std::env::current_dir().ok().map(|folder| folder.display().to_string()),
        "device": format!("{device:?}").to_lowercase(),
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
