//! The `train` command: plan, resume or start, train, write, measure.

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use fewstep_eval::{Digest, Weights};
use fewstep_samplers::{Generator, X0Clip};
use fewstep_schedules::NoiseGrid;
use fewstep_torch::{Device, Tensor};
use fewstep_train::{CheckpointStore, ModelCard, ModelFile, Outcome, TrainState, Trainer};
use indicatif::MultiProgress;
use serde_json::json;

use crate::args::TrainArgs;
use crate::evaluate::{ReferenceSet, Stopped, Subject, measure, real_images, visited};
use crate::observer::{TeacherOut, Watcher};
use crate::plan::{self, Plan};
use crate::results::{Measured, Results, grid, write_page};
use crate::run_folder::RunFolder;
use crate::signals::{STOPPED, stop_flag};

/// The `train` command.
pub(crate) fn run(args: &TrainArgs, bars: &MultiProgress) -> Result<ExitCode> {
    let plan = Plan::resolve(crate::config::load(&args.config)?)?;
    if args.dry_run {
        plan::print(&plan);
        return Ok(ExitCode::SUCCESS);
    }
    let stop = stop_flag()?;
    let device = plan.config.device.resolve()?;
    let folder = RunFolder::open(&args.runs, &plan.config)?;
    write_run_record(&folder, device)?;
    for line in plan.to_string().lines() {
        tracing::info!("{line}");
    }
    let Some(state) = train(&plan, &folder, device, &stop, bars)? else {
        return Ok(ExitCode::from(STOPPED));
    };
    match finish(&plan, &folder, &state, &stop, bars) {
        Err(e) if e.is::<Stopped>() => {
            tracing::warn!("{e}");
            Ok(ExitCode::from(STOPPED))
        }
        other => other.map(|()| ExitCode::SUCCESS),
    }
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

/// Trains to the end of the plan; `None` if it was asked to stop.
fn train(
    plan: &Plan,
    folder: &RunFolder,
    device: Device,
    stop: &AtomicBool,
    bars: &MultiProgress,
) -> Result<Option<TrainState>> {
    let training = &plan.training;
    let keep = plan.config.training.keep_checkpoints;
    let store = CheckpointStore::open(&folder.file("checkpoints"), &plan.fingerprint, keep)?;
    let state = match store.load_newest(&plan.model, training.adam, device)? {
        Some(restored) => {
            for problem in &restored.passed_over {
                tracing::warn!("passed over a damaged checkpoint: {problem}");
            }
            tracing::info!("continuing from {}", restored.path.display());
            restored.state
        }
        None => start(plan, device)?,
    };
    let samples = training.samples_before(state.stage) + state.nimg;
    let teacher = plan.teacher.is_none().then(|| TeacherOut {
        path: folder.file("teacher.safetensors"),
        card: card(
            plan,
            "teacher, inference average",
            (0..=plan.grid.steps()).collect(),
            training.samples(0),
        ),
        model: &plan.model,
    });
    let mut watcher = Watcher::new(
        folder.file("metrics.jsonl"),
        &folder.file("tb"),
        bars,
        samples,
        training.total_samples(),
        &plan.config.training,
        teacher,
    )?;
    let trainer = Trainer { model: &plan.model, plan: training, store: &store, device };
    let outcome = trainer.run(state, &plan.dataset, stop, &mut watcher);
    watcher.finish();
    match outcome? {
        Outcome::Finished(state) => Ok(Some(state)),
        Outcome::Stopped(path) => {
            tracing::warn!("stopped; the same command continues from {}", path.display());
            Ok(None)
        }
    }
}

fn start(plan: &Plan, device: Device) -> Result<TrainState> {
    let adam = plan.training.adam;
    Ok(match &plan.teacher {
        Some(file) => TrainState::from_student(file.flat.f_to_device(device)?, adam)?,
        None => TrainState::fresh(&plan.model, plan.config.seed, adam, device)?,
    })
}

fn card(plan: &Plan, role: &str, visits: Vec<usize>, samples: u64) -> ModelCard {
    ModelCard {
        format: 1,
        model: plan.config.model.clone(),
        schedule: plan.config.schedule,
        timesteps: plan.grid.steps(),
        visits,
        clip: X0Clip::UnitRange,
        dataset: plan.dataset.name().to_owned(),
        dataset_digest: plan.dataset_digest.clone(),
        samples,
        role: role.to_owned(),
        seed: plan.config.seed,
        version: env!("CARGO_PKG_VERSION").into(),
        source: None,
    }
}

/// Writes the student, then measures teacher and student, and writes grids and the page.
fn finish(
    plan: &Plan,
    folder: &RunFolder,
    state: &TrainState,
    stop: &AtomicBool,
    bars: &MultiProgress,
) -> Result<()> {
    let visits = plan.student_visits();
    let student_card =
        card(plan, "student, inference average", visits.clone(), plan.training.total_samples());
    let path = folder.file("model.safetensors");
    ModelFile::save(&path, &student_card, &plan.model, &state.inference.flat)?;
    tracing::info!("wrote {}", path.display());

    let device = state.student.device();
    let teacher = match &plan.teacher {
        Some(file) => file.flat.f_to_device(device)?,
        None => ModelFile::load(&folder.file("teacher.safetensors"))?.flat.f_to_device(device)?,
    };
    let student_digest = digest(&state.inference.flat)?;
    let key = format!("{student_digest} {}", serde_json::to_string(&plan.config.evaluation)?);
    let results = match Results::load(folder, &key) {
        Some(results) => results,
        None => {
            let student = (&state.inference.flat, student_digest, visits.as_slice());
            let measured = measure_all(plan, folder, student, &teacher, stop, bars)?;
            let results = Results { key, measured };
            results.save(folder)?;
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

/// Student at its own steps, teacher at every number asked for; the grids of data, student and best teacher.
fn measure_all(
    plan: &Plan,
    folder: &RunFolder,
    (student, student_digest, visits): (&Tensor, Digest, &[usize]),
    teacher: &Tensor,
    stop: &AtomicBool,
    bars: &MultiProgress,
) -> Result<Vec<Measured>> {
    let config = &plan.config.evaluation;
    let dataset = plan.dataset.as_ref();
    let reference = ReferenceSet::of(dataset, &plan.dataset_digest)?;
    let shown = (config.grid as usize).min(dataset.len());
    grid(&real_images(dataset, 0, shown)?)?.write_png(&folder.file("samples/data.png"))?;
    let ema = |stage: Option<&fewstep_train::Stage>| match stage {
        Some(s) => Weights::Ema { decay: s.inference_decay, bias_corrected: true },
        None => Weights::Unknown,
    };
    let mut measured = Vec::new();
    let mut one =
        |what: &'static str, flat: &Tensor, weights, digest: Digest, levels: &NoiseGrid, picture: bool| {
            let generator = Generator { model: &plan.model, flat, grid: levels, clip: X0Clip::UnitRange };
            let subject = Subject { what, generator, weights, digest };
            let (record, images) = measure(&subject, &reference, config, bars, stop)?;
            let (name, value) = (record.score.metric().name(), record.score.value());
            tracing::info!("{what} at {} steps: {name} {value:.3}", levels.steps());
            if picture {
                grid(&images)?.write_png(&folder.file(&format!("samples/{what}.png")))?;
            }
            measured.push(Measured { what: what.into(), steps: levels.steps(), record });
            anyhow::Ok(())
        };
    let levels = visited(&plan.grid, visits)?;
    one("student", student, ema(plan.training.stages.last()), student_digest, &levels, true)?;
    let teacher_digest = digest(teacher)?;
    let teacher_weights = ema(plan.training.stages.first().filter(|_| plan.teacher.is_none()));
    let mut steps = config.teacher_steps.clone();
    steps.sort_unstable();
    steps.dedup();
    if steps.is_empty() {
        steps.push(plan.grid.steps());
    }
    let most = steps.last().copied();
    for n in steps {
        let levels = plan.config.schedule.grid(n)?;
        one("teacher", teacher, teacher_weights, teacher_digest.clone(), &levels, Some(n) == most)?;
    }
    Ok(measured)
}

/// Digest of the parameters' bytes.
fn digest(flat: &Tensor) -> Result<Digest> {
    let values = Vec::<f32>::try_from(flat.f_to_device(Device::Cpu)?)?;
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Ok(Digest::of(&bytes))
}
