//! The calls for whoever has a network, or images, and no config. Each prepares libtorch first.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use fewstep_data::{Dataset, OnBad, open_images};
use fewstep_distill::{Denoising, DenoisingConfig, Objective};
use fewstep_eval::{FeatureOptions, Features, Grey, Metric, MetricChoice, Record, Space};
use fewstep_models::{Network, X0Clip};
use fewstep_samplers::{LabelRule, Model, Sampler};
use fewstep_schedules::{
    Decay, LearningRate, LearningRateDecay, NoiseGrid, NoiseSchedule, PhaseLevels, PhasePlan,
};
use fewstep_torch::{AdamConfig, Compute, Device, GradientRule, Tensor};
use fewstep_train::{CheckpointStore, Outcome, Plan, Product, Stage, StageStart, TrainState, Trainer};

use crate::evaluation::{Evaluator, ReferenceSet, ReferenceSpec, Sample, Yardstick, extractor, lacking};
use crate::session::Session;

/// How much a network is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Samples in all; phases of a distillation share them equally.
    pub samples: u64,
    /// Images per step.
    pub batch: usize,
    /// Largest learning rate: it is reached after a hundredth of the samples and falls to 0 by a cosine.
    pub learning_rate: f64,
    /// Seed of every draw.
    pub seed: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { samples: 100_000, batch: 128, learning_rate: 1e-3, seed: 0 }
    }
}

/// The most images per forward and backward pass: a fixed number, so that results do not depend on the machine's cores.
const MICRO_BATCH: usize = 64;

/// Makes an objective of a phase, which is phase `index` of its plan, counted from 0.
pub type MakeObjective<'a> = &'a dyn Fn(PhaseLevels, usize) -> fewstep_distill::Result<Arc<dyn Objective>>;

/// Trains a teacher by denoising; it samples in `steps` steps of DDIM.
///
/// For more choices write a config and make a [`Run`](crate::plan::Run), or fill in a [`Plan`].
///
/// # Errors
/// A schedule without such a grid, data that do not fit the network, or training fails.
pub fn train_teacher(
    network: Arc<dyn Network>,
    schedule: impl NoiseSchedule + 'static,
    steps: usize,
    data: &Arc<dyn Dataset>,
    budget: Budget,
) -> Result<Model> {
    let grid = schedule.grid(steps)?;
    let makes = Product::teacher(steps, X0Clip::UnitRange, Sampler::default());
    let objective = Arc::new(Denoising::new(schedule, DenoisingConfig::default())?);
    let stage = stage(&network, ("teacher".to_owned(), StageStart::Fresh), makes, objective, &budget, 1)?;
    let state =
        TrainState::fresh(network.as_ref(), budget.seed, AdamConfig::default(), Compute::F32, Device::Cpu)?;
    follow(plan(vec![stage], &budget), state, &grid, data)
}

/// Distils a teacher down to the last of `steps`, one phase per entry: from 64 steps, `&[8, 1]` goes to 8 and then to 1.
///
/// `objective` makes the objective of each phase, such as
/// `&|phase, k| ObjectiveConfig::default().objective(phase, k)` for TRACT.
///
/// # Errors
/// Steps that do not divide those before, an objective that cannot do a phase, or training fails.
pub fn distil(
    teacher: &Model,
    steps: &[usize],
    data: &Arc<dyn Dataset>,
    budget: Budget,
    objective: MakeObjective<'_>,
) -> Result<Model> {
    let schedule: Vec<usize> = std::iter::once(teacher.grid.steps()).chain(steps.iter().copied()).collect();
    let phases = PhasePlan::equal(&schedule)?;
    let mut stages = Vec::new();
    for (k, levels) in phases.on(&teacher.grid)?.into_iter().enumerate() {
        let start = if k == 0 { StageStart::FromTeacher } else { StageStart::CarryOn };
        let name = format!("{} -> {} steps", schedule[k], schedule[k + 1]);
        let makes = Product::student(levels.phase().student_indices());
        let objective = objective(levels, k)?;
        stages.push(stage(&teacher.network, (name, start), makes, objective, &budget, steps.len())?);
    }
    let state = TrainState::from_student(teacher.flat.copy(), AdamConfig::default())?;
    follow(plan(stages, &budget), state, &teacher.grid, data)
}

/// Images of these seeds, f64 `[n, C, H, W]`, nominally in `[-1, 1]`. A seed gives the same image every time.
///
/// # Errors
/// The network fails.
pub fn sample(model: &Model, seeds: Range<u64>) -> Result<Tensor> {
    const BATCH: usize = 256;
    fewstep_torch::prepare()?;
    if seeds.is_empty() {
        bail!("sample: no seeds");
    }
    let mut parts = Vec::new();
    model.stream(seeds, BATCH, &LabelRule::Uniform, &mut |sampled| -> Result<()> {
        parts.push(sampled.x0);
        Ok(())
    })?;
    Ok(Tensor::f_cat(&parts, 0)?)
}

/// The Frechet distance of the images at one path (a folder, a zip or an npz) from those at another: FID in Inception's
/// feature spaces, where the channel of grey images is taken three times. The record says everything that the number
/// depends on.
///
/// # Errors
/// Images that cannot be read or are not of one size; Inception's weights are needed and not there.
pub fn measure(images: impl AsRef<Path>, against: impl AsRef<Path>, features: Features) -> Result<Record> {
    let records = measure_by(images, against, features.space(), &[MetricChoice::Frechet.metric()])?;
    records.into_iter().next().context("no number came out")
}

/// The numbers of `metrics` for the images at one path (a folder, a zip or an npz) against those at another, in a feature
/// space: a metric and a space of yours, or those of [`MetricChoice`] and [`Features`], as
/// `&[&Mine, MetricChoice::Kernel.metric()]`. The channel of grey images is taken three times where the space has colours.
///
/// # Errors
/// Images that cannot be read or are not of one size; fewer images than a metric needs; a metric or the space fails.
pub fn measure_by(
    images: impl AsRef<Path>,
    against: impl AsRef<Path>,
    space: &dyn Space,
    metrics: &[&dyn Metric],
) -> Result<Vec<Record>> {
    fewstep_torch::prepare()?;
    let open = |path: &Path| -> Result<Arc<dyn Dataset>> {
        let images = open_images(path, OnBad::Refuse).with_context(|| path.display().to_string())?;
        Ok(Arc::new(images))
    };
    let (images, reference) = (open(images.as_ref())?, open(against.as_ref())?);
    let n = images.len();
    for metric in metrics {
        if let Some(lacks) = lacking(*metric, n as u64, Some(reference.len() as u64)) {
            bail!("{} cannot be measured: {lacks}", metric.name());
        }
    }
    let device = Device::Cpu;
    let options = FeatureOptions { weights: None, grey: Grey::Replicate, device };
    let extractor = extractor(space, images.shape(), &options)?;
    let session = Session::quiet();
    let rows = metrics.iter().any(|metric| metric.needs_reference_rows());
    let spec = ReferenceSpec { extractor: &extractor, rows };
    let reference = ReferenceSet::of_dataset(reference.as_ref(), spec, &session)?;
    let yardstick = Yardstick { extractor, reference };
    let evaluator = Evaluator { yardstick: Some(&yardstick), metrics, ..Evaluator::new(&session) };
    evaluator.images(&Sample::of(images, n), 0, device)
}

/// A stage of one of `parts` equal parts of the budget.
fn stage(
    network: &Arc<dyn Network>,
    (name, start): (String, StageStart),
    makes: Product,
    objective: Arc<dyn Objective>,
    budget: &Budget,
    parts: usize,
) -> Result<Stage> {
    let steps = budget.samples.div_ceil(budget.batch.max(1) as u64).div_ceil(parts.max(1) as u64);
    Ok(Stage {
        name,
        makes,
        network: Arc::clone(network),
        teacher: Arc::clone(network),
        objective,
        start,
        steps,
        learning_rate: LearningRate {
            base: budget.learning_rate,
            warmup: steps * budget.batch as u64 / 100,
            decay: LearningRateDecay::Cosine,
        },
        inference_decay: Decay::Forget(1e-9).resolve(steps)?,
        self_teacher_decay: 0.5,
        dropout: 0.0,
    })
}

fn plan(stages: Vec<Stage>, budget: &Budget) -> Plan {
    Plan {
        seed: budget.seed,
        compute: Compute::F32.into(),
        batch: budget.batch,
        micro_batch: budget.batch.clamp(1, MICRO_BATCH),
        flip: false,
        adam: AdamConfig::default(),
        gradient: GradientRule::default(),
        stages,
        checkpoint_every: u64::MAX,
    }
}

/// Follows a plan on `grid` that is never interrupted; returns what its last stage makes.
fn follow(plan: Plan, state: TrainState, grid: &NoiseGrid, data: &Arc<dyn Dataset>) -> Result<Model> {
    fewstep_torch::prepare()?;
    let folder = tempfile::tempdir().context("a temporary folder for checkpoints")?;
    let store = CheckpointStore::open(folder.path(), "one call", 1)?;
    let trainer = Trainer { plan: &plan, store: &store, device: Device::Cpu };
    let flat = match trainer.run(state, data, &AtomicBool::new(false), &mut ())? {
        Outcome::Finished(state) => state.inference.flat,
        Outcome::Stopped(path) => bail!("stopped at {}", path.display()),
    };
    let Stage { network, makes, .. } = plan.stages.last().context("nothing to train")?;
    let (grid, clip) = (grid.visited(&makes.visits)?, makes.clip);
    let compute = Compute::F32;
    Ok(Model { network: Arc::clone(network), flat, compute, grid, clip, sampler: makes.sampler })
}
