//! The `train` command: plan, resume or start, train, write, measure.

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};
use fewstep_samplers::{LabelRule, Sampler, X0Clip};
use fewstep_torch::{Device, Tensor};
use fewstep_train::{CheckpointStore, ModelCard, ModelFile, Outcome, Role, TrainState, Trainer};
use indicatif::MultiProgress;
use serde_json::json;

use crate::args::TrainArgs;
use crate::config::EvaluationConfig;
use crate::evaluation::{
    LabelRequest, Measured, Results, Subject, digest_of, labels as describe_labels, real_images,
};
use crate::feasibility::possible;
use crate::fetch;
use crate::measuring::{Measuring, student_steps, teacher_steps};
use crate::observer::{GoingOn, TeacherOut, Watcher};
use crate::on_the_way::{OnTheWay, StageSubject};
use crate::outputs::try_folder;
use crate::page::{grid, write_page};
use crate::plan::{self, Plan};
use crate::run_folder::{RUN_RECORD, RunFolder};
use crate::signals::{Stopped, stop_flag};
use crate::stdout::say;

/// The `train` command.
pub(crate) fn run(args: &TrainArgs, bars: &MultiProgress) -> Result<ExitCode> {
    let config = crate::config::load(&args.config)?;
    if !args.dry_run {
        try_folder("--runs", &args.runs.join(&config.name))?;
        fetch::ensure("train", Some(&config.data), Some(config.evaluation.features), bars)?;
    }
    let plan = Plan::resolve(config)?;
    if args.dry_run {
        say(&plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    let stop = stop_flag()?;
    let device = plan.outline.config.device.resolve()?;
    plan.outline.config.compute.check(device)?;
    let folder = RunFolder::open(&args.runs, &plan.outline.config)?;
    for line in plan.to_string().lines() {
        match line.strip_prefix("warning ") {
            Some(warning) => tracing::warn!("{}", warning.trim_start()),
            None => tracing::info!("{line}"),
        }
    }
    // Made once, by whichever part of the run measures first.
    let mut measuring = None;
    let state = train(&plan, &folder, device, &stop, bars, &mut measuring)?;
    finish(&plan, &folder, &state, &stop, bars, measuring)?;
    Ok(ExitCode::SUCCESS)
}

/// Where and by what the run was last worked on.
fn write_run_record(folder: &RunFolder, device: Device) -> Result<()> {
    let record = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "command": std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        // What relative paths in the config start from.
        "folder": std::env::current_dir().ok().map(|folder| folder.display().to_string()),
        "device": format!("{device:?}").to_lowercase(),
    });
    Ok(fewstep_files::write_atomically(&folder.file(RUN_RECORD), &serde_json::to_vec_pretty(&record)?)?)
}

/// Trains to the end of the plan.
fn train<'a>(
    plan: &'a Plan,
    folder: &RunFolder,
    device: Device,
    stop: &'a AtomicBool,
    bars: &'a MultiProgress,
    measuring: &mut Option<Measuring<'a>>,
) -> Result<TrainState> {
    let training = &plan.outline.training;
    let keep = plan.outline.config.training.keep_checkpoints;
    let store = CheckpointStore::open(&folder.file("checkpoints"), plan.origin.clone(), keep)?;
    let restored = store.load_newest(plan.outline.networks(), training.adam, training.compute, device);
    let (state, memory) = match restored.map_err(plan::explained)? {
        Some(restored) => {
            for problem in &restored.passed_over {
                tracing::warn!("passed over a damaged checkpoint: {problem}");
            }
            tracing::info!("continuing from {}", restored.path.display());
            (restored.state, restored.memory)
        }
        None => (start(plan, device)?, None),
    };
    write_run_record(folder, device)?;
    if state.stage == training.stages.len() {
        return Ok(state);
    }
    let samples = training.samples_before(state.stage) + state.nimg;
    let measuring = match plan.outline.config.evaluation.every {
        0 => None,
        _ => Some(&*measuring.insert(Measuring::prepare(plan, device, bars, stop)?)),
    };
    let subjects = || (0..training.stages.len()).map(|stage| subject(plan, stage)).collect();
    let on_the_way = measuring
        .map(|m| OnTheWay::new(folder.file("evaluations.jsonl"), m, subjects(), samples))
        .transpose()?;
    let teacher = plan.teacher.is_none().then(|| TeacherOut {
        path: folder.file("teacher.safetensors"),
        card: subject(plan, 0).card,
        model: &plan.outline.model,
    });
    let mut watcher = Watcher::new(
        folder.file("metrics.jsonl"),
        &folder.file("tb"),
        bars,
        GoingOn { samples, total: training.total_samples(), memory: memory.as_deref() },
        &plan.outline.config.training,
        (teacher, on_the_way),
    )?;
    let trainer = Trainer { networks: plan.outline.networks(), plan: training, store: &store, device };
    let outcome = trainer.run(state, &plan.dataset, stop, &mut watcher);
    watcher.finish();
    match outcome? {
        Outcome::Finished(state) => Ok(state),
        Outcome::Stopped(path) => {
            tracing::info!("checkpoint {}", path.display());
            bail!(Stopped)
        }
    }
}

fn start(plan: &Plan, device: Device) -> Result<TrainState> {
    let (adam, compute) = (plan.outline.training.adam, plan.outline.training.compute);
    Ok(match &plan.teacher {
        Some(file) => {
            TrainState::from_student(file.flat.f_to_device(device)?.f_to_kind(compute.kind())?, adam)?
        }
        None => TrainState::fresh(&plan.outline.model, plan.outline.config.seed, adam, compute, device)?,
    })
}

/// What a stage trains, and the card of the model that it leaves.
fn subject(plan: &Plan, index: usize) -> StageSubject<'_> {
    let samples = plan.outline.training.samples_before(index) + plan.outline.training.samples(index);
    let phase = match plan.teacher {
        None => index.checked_sub(1),
        Some(_) => Some(index),
    };
    let (what, role, visits, clip, sampler) = match phase.and_then(|k| plan.outline.phases.phases().get(k)) {
        Some(phase) => {
            let sampler = Sampler::default();
            ("student", Role::Student, phase.student_indices(), X0Clip::UnitRange, sampler)
        }
        None => {
            let visits = (0..=plan.outline.grid.steps()).collect();
            let (clip, solver) = plan.outline.config.distill.teacher_steps_by();
            ("teacher", Role::Teacher, visits, clip, solver.into())
        }
    };
    let model = plan.outline.networks().trained(index);
    let card = ModelCard {
        format: 1,
        model: model.config().clone(),
        compute: plan.outline.config.compute,
        schedule: plan.outline.config.schedule,
        timesteps: plan.outline.grid.steps(),
        visits,
        clip,
        sampler,
        inference_decay: plan.outline.training.stages.get(index).map(|stage| stage.inference_decay),
        dataset: plan.dataset.name().to_owned(),
        dataset_digest: plan.dataset_digest.clone(),
        class_counts: if model.config().n_classes() > 0 { plan.class_counts.clone() } else { Vec::new() },
        samples,
        role,
        seed: plan.outline.config.seed,
        version: env!("CARGO_PKG_VERSION").into(),
        source: None,
    };
    StageSubject { what, card, model }
}

/// Writes the student, then measures teacher and student, and writes grids and the page.
fn finish<'a>(
    plan: &'a Plan,
    folder: &RunFolder,
    state: &TrainState,
    stop: &'a AtomicBool,
    bars: &'a MultiProgress,
    measuring: Option<Measuring<'a>>,
) -> Result<()> {
    let student_card = subject(plan, plan.outline.training.stages.len() - 1).card;
    let path = folder.file("model.safetensors");
    ModelFile::save(&path, &student_card, plan.outline.student(), &state.inference.flat)?;
    tracing::info!("wrote {}", path.display());

    let device = state.student.device();
    let loaded;
    let teacher_file = match &plan.teacher {
        Some(file) => file,
        None => {
            loaded = ModelFile::load(&folder.file("teacher.safetensors"))?;
            &loaded
        }
    };
    let kind = plan.outline.config.compute.kind();
    let teacher = teacher_file.flat.f_to_device(device)?.f_to_kind(kind)?;
    let student = Subject {
        what: "student",
        card: &student_card,
        model: plan.outline.student(),
        flat: &state.inference.flat,
        digest: digest_of(&state.inference.flat)?,
    };
    let teacher = Subject::of_file("teacher", teacher_file, &teacher)?;
    let evaluation = &plan.outline.config.evaluation;
    let key = results_key(&student, evaluation, &plan.class_counts)?;
    let (path, mut saved) = (folder.file("results.json"), Ok(()));
    let results = match Results::load(&path, &key) {
        Some(results) => results,
        None => {
            let measuring = match measuring {
                Some(measuring) => measuring,
                None => Measuring::prepare(plan, device, bars, stop)?,
            };
            let measured = measure_all(&measuring, plan, folder, &student, &teacher)?;
            let (_, not_measured) = possible(evaluation, evaluation.samples, plan.dataset.len() as u64);
            let results = Results { key, measured, not_measured };
            saved = results.save(&path);
            results
        }
    };
    // The numbers first: a file that cannot be written takes nothing of them.
    for line in results.summary() {
        tracing::info!("{line}");
    }
    let page = write_page(folder, plan, &results, &["data", "teacher", "student"]);
    saved.and(page)?;
    tracing::info!(
        "wrote {} and the pictures in {}",
        folder.file("report.html").display(),
        folder.file("samples").display()
    );
    Ok(())
}

/// Identifies what a run's numbers follow from, its data aside.
fn results_key(student: &Subject, evaluation: &EvaluationConfig, counts: &[u64]) -> Result<String> {
    let key = format!("{} {}", student.digest, serde_json::to_string(evaluation)?);
    let labels = LabelRequest { usual: evaluation.labels, ..LabelRequest::default() };
    let labels = labels.rule(student.card, student.what, counts)?;
    // Keys of earlier versions, which drew labels uniformly, name no rule.
    Ok(match labels {
        LabelRule::Uniform => key,
        rule => format!("{key} {}", describe_labels(&rule, student.card.model.n_classes())),
    })
}

/// Student and teacher at every number of steps asked for; the grids of data, student and best teacher.
fn measure_all(
    measuring: &Measuring,
    plan: &Plan,
    folder: &RunFolder,
    student: &Subject,
    teacher: &Subject,
) -> Result<Vec<Measured>> {
    let config = measuring.config;
    let shown = (config.grid as usize).min(plan.dataset.len());
    picture(folder, "data", &real_images(plan.dataset.as_ref(), 0, shown)?);
    let mut measured = Vec::new();
    let mut one = |subject: &Subject, steps: Option<usize>, shown: bool| {
        if !shown && !measuring.can(config.samples) {
            return Ok(());
        }
        let outcome = measuring.model(subject, steps, config.samples)?;
        for record in &outcome.records {
            let (name, value) = (record.score.metric().name(), record.score.value());
            tracing::info!("{} at {} steps: {name} {value:.3}", subject.what, outcome.steps);
        }
        if shown {
            picture(folder, subject.what, &Tensor::f_cat(&outcome.shown, 0)?);
        }
        measured.extend(Measured::of(subject.what, outcome.steps, outcome.records));
        anyhow::Ok(())
    };
    for steps in student_steps(config, student.card) {
        one(student, steps, steps.is_none())?;
    }
    let steps = teacher_steps(config);
    let most = steps.last().copied().flatten();
    for steps in steps {
        one(teacher, steps, steps == most)?;
    }
    Ok(measured)
}

/// A grid of images, u8 `[n, C, H, W]`. One that cannot be written costs itself only.
fn picture(folder: &RunFolder, name: &str, images: &Tensor) {
    let path = folder.file(&format!("samples/{name}.png"));
    if let Err(e) = grid(images).and_then(|grid| Ok(grid.write_png(&path)?)) {
        tracing::warn!("no picture of the {name}: {e:#}");
    }
}
