//! The `train` command: plan, resume or start, train, write, measure.

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};
use fewstep_samplers::{Sampler, X0Clip};
use fewstep_torch::{Device, Tensor};
use fewstep_train::{CheckpointStore, ModelCard, ModelFile, Outcome, Role, TrainState, Trainer};
use indicatif::MultiProgress;
use serde_json::json;

use crate::args::TrainArgs;
use crate::evaluation::{Measured, Results, Subject, digest_of, real_images};
use crate::measuring::{Measuring, student_steps, teacher_steps};
use crate::needs;
use crate::observer::{TeacherOut, Watcher};
use crate::on_the_way::{OnTheWay, StageSubject};
use crate::page::{grid, write_page};
use crate::plan::{self, Plan};
use crate::run_folder::RunFolder;
use crate::signals::{Stopped, stop_flag};

/// The `train` command.
pub(crate) fn run(args: &TrainArgs, bars: &MultiProgress) -> Result<ExitCode> {
    if args.needs {
        let config = crate::config::load(&args.config)?;
        return needs::print(Some(&config.data), Some(config.evaluation.features));
    }
    let plan = Plan::resolve(crate::config::load(&args.config)?)?;
    if args.dry_run {
        plan::print(&plan.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let stop = stop_flag()?;
    let device = plan.outline.config.device.resolve()?;
    plan.outline.config.compute.check(device)?;
    let folder = RunFolder::open(&args.runs, &plan.outline.config)?;
    write_run_record(&folder, device)?;
    for line in plan.to_string().lines() {
        tracing::info!("{line}");
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
        "command": std::env::args().collect::<Vec<_>>(),
        "device": format!("{device:?}").to_lowercase(),
    });
    Ok(fewstep_report::write_atomically(&folder.file("run.json"), &serde_json::to_vec_pretty(&record)?)?)
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
    let store = CheckpointStore::open(&folder.file("checkpoints"), &plan.fingerprint, keep)?;
    let state = match store.load_newest(plan.outline.networks(), training.adam, training.compute, device)? {
        Some(restored) => {
            for problem in &restored.passed_over {
                tracing::warn!("passed over a damaged checkpoint: {problem}");
            }
            tracing::info!("continuing from {}", restored.path.display());
            restored.state
        }
        None => start(plan, device)?,
    };
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
        samples,
        training.total_samples(),
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
    let key = format!("{} {}", student.digest, serde_json::to_string(&plan.outline.config.evaluation)?);
    let results = match Results::load(&folder.file("results.json"), &key) {
        Some(results) => results,
        None => {
            let measuring = match measuring {
                Some(measuring) => measuring,
                None => Measuring::prepare(plan, device, bars, stop)?,
            };
            let measured = measure_all(&measuring, plan, folder, &student, &teacher)?;
            let results = Results { key, measured };
            results.save(&folder.file("results.json"))?;
            results
        }
    };
    write_page(folder, plan, &results, &["data", "teacher", "student"])?;
    for line in results.summary() {
        tracing::info!("{line}");
    }
    tracing::info!(
        "wrote {} and the pictures in {}",
        folder.file("report.html").display(),
        folder.file("samples").display()
    );
    Ok(())
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
    grid(&real_images(plan.dataset.as_ref(), 0, shown)?)?.write_png(&folder.file("samples/data.png"))?;
    let mut measured = Vec::new();
    let mut one = |subject: &Subject, steps: Option<usize>, picture: bool| {
        let outcome = measuring.model(subject, steps, config.samples)?;
        for record in &outcome.records {
            let (name, value) = (record.score.metric().name(), record.score.value());
            tracing::info!("{} at {} steps: {name} {value:.3}", subject.what, outcome.steps);
        }
        if picture {
            grid(&Tensor::f_cat(&outcome.shown, 0)?)?
                .write_png(&folder.file(&format!("samples/{}.png", subject.what)))?;
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
