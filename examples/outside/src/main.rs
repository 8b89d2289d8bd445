//! A network, an objective and a data set from outside fewstep, trained by its `Trainer`: `outside FOLDER`.
//!
//! The run can be killed at any time; the same command goes on from the last checkpoint and ends in the same bytes.

mod data;
mod network;
mod objective;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use fewstep::models::Network;
use fewstep::prelude::*;
use fewstep::samplers::Role;
use fewstep::schedules::{LearningRate, LearningRateDecay};
use fewstep::torch::{AdamConfig, Compute, GradientRule};
use fewstep::train::{
    CheckpointStore, Observer, Outcome, Plan, Product, Stage, StageStart, TrainState, Trainer,
};

use data::Ring;
use network::Mlp;
use objective::Consistency;

const STEPS: usize = 64;

fn main() -> Result<()> {
    fewstep::prepare()?;
    let folder: PathBuf = std::env::args_os().nth(1).context("usage: outside FOLDER")?.into();
    let grid = Schedule::default().grid(STEPS)?;
    let plan = plan(Arc::new(Mlp::new()?), &grid)?;
    let data: Arc<dyn Dataset> = Arc::new(Ring::new(4000));

    let store = CheckpointStore::open(&folder.join("checkpoints"), "ring, version 1", 2)?;
    let network = &plan.stages[0].network;
    let state = match store.load_newest(&plan, Device::Cpu)? {
        Some(restored) => {
            println!("continuing from {}", restored.path.display());
            restored.state
        }
        None => TrainState::fresh(network.as_ref(), plan.seed, plan.adam, plan.compute.student, Device::Cpu)?,
    };
    let trainer = Trainer { plan: &plan, store: &store, device: Device::Cpu };
    let mut models = Models { folder: folder.clone() };
    let outcome = trainer.run(state, &data, &AtomicBool::new(false), &mut models)?;
    let Outcome::Finished(state) = outcome else { anyhow::bail!("nobody asks it to stop") };

    let flat = std::fs::read(folder.join("teacher.f32"))?;
    let flat: Vec<f32> = flat.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let model = |flat: Tensor, steps| -> Result<Model> {
        let (network, grid) = (Arc::clone(network), grid.every(steps)?);
        let compute = Compute::F32;
        Ok(Model { network, flat, compute, grid, clip: X0Clip::UnitRange, sampler: Sampler::default() })
    };
    let off = |model: Model| -> Result<f64> { Ring::distance(&sample(&model, 0..1000)?) };
    let teacher = Tensor::from_slice(&flat);
    let [all, one] = [off(model(teacher.copy(), STEPS)?)?, off(model(teacher, 1)?)?];
    let student = off(model(state.inference.flat.copy(), 1)?)?;
    write(&folder.join("student.f32"), &state.inference.flat)?;
    println!(
        "distance from the ring: teacher {all:.3} in {STEPS} steps, {one:.3} in one; student {student:.3}"
    );
    anyhow::ensure!(2.0 * student < one, "the student did not learn");
    Ok(())
}

/// A teacher by denoising, then a student of one step by the objective of this package.
fn plan(network: Arc<dyn Network>, grid: &NoiseGrid) -> Result<Plan> {
    let stage = |name: &str, makes, objective, start| Stage {
        name: name.to_owned(),
        makes,
        network: Arc::clone(&network),
        teacher: Arc::clone(&network),
        objective,
        start,
        steps: 3000,
        learning_rate: LearningRate { base: 1e-2, warmup: 1000, decay: LearningRateDecay::Cosine },
        inference_decay: 0.998,
        self_teacher_decay: 0.95,
        dropout: 0.0,
    };
    let denoising = Arc::new(Denoising::new(Schedule::default(), DenoisingConfig::default())?);
    let teacher = Product::teacher(grid.steps(), X0Clip::UnitRange, Solver::Ddim);
    let student = Product::student(vec![0, grid.steps()]);
    Ok(Plan {
        seed: 0,
        compute: Compute::F32.into(),
        batch: 128,
        micro_batch: 64,
        flip: false,
        adam: AdamConfig::default(),
        gradient: GradientRule::Keep,
        stages: vec![
            stage("teacher", teacher, denoising, StageStart::Fresh),
            stage("student", student, Arc::new(Consistency::new(grid.clone())), StageStart::FromTeacher),
        ],
        checkpoint_every: 32_000,
    })
}

/// Writes the teacher when it is done.
struct Models {
    folder: PathBuf,
}

impl Observer for Models {
    fn on_stage_end(&mut self, stage: &Stage, state: &TrainState) -> fewstep::train::Result<()> {
        println!("{} is done", stage.name);
        if stage.makes.role == Role::Teacher {
            write(&self.folder.join("teacher.f32"), &state.inference.flat)
                .map_err(|e| fewstep::train::Error::Observer(e.into()))?;
        }
        Ok(())
    }
}

/// Parameters as little-endian f32.
fn write(path: &std::path::Path, flat: &Tensor) -> Result<()> {
    let values = Vec::<f32>::try_from(flat)?;
    Ok(std::fs::write(path, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())?)
}
