//! A small network with everything that a step needs.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)] // each user takes what it needs

use std::num::NonZero;
use std::sync::Arc;

use fewstep_data::{Dataset, ImageShape, InMemory};
use fewstep_distill::{Batch, Denoising, DenoisingConfig, Objective, ObjectiveConfig};
use fewstep_models::ddpm::DdpmConfig;
use fewstep_models::{Architecture, ModelConfig, Network, Prediction, X0Clip};
use fewstep_random::{Draws, Key, Stream};
use fewstep_samplers::Solver;
use fewstep_schedules::{LearningRate, PhasePlan, Schedule};
use fewstep_torch::{AdamConfig, Compute, Device, GradientRule, Kind, Tensor};
use fewstep_train::{ComputePolicy, Plan, Product, Rates, Stage, StageStart, StepSettings, TrainState};

/// Steps of the grid.
const STEPS: usize = 16;

/// A network of `channels` channels on 8x8 images.
fn network(channels: i64, channel_mult: Vec<i64>) -> Arc<dyn Network> {
    let network = DdpmConfig {
        image_channels: 1,
        resolution: 8,
        channels,
        channel_mult,
        n_res_blocks: 1,
        attention_resolutions: vec![4],
        embedding_channels: 2 * channels,
        ..DdpmConfig::cifar10()
    };
    ModelConfig { network: Architecture::DdpmUnet(network), prediction: Prediction::V }.build().unwrap()
}

/// The objective of this name in phase `index` of a plan of these numbers of steps.
pub fn phase(objective: &str, steps: &[usize], index: usize) -> Arc<dyn Objective> {
    let grid = Schedule::default().grid(steps[0]).unwrap();
    let levels = PhasePlan::equal(steps).unwrap().on(&grid).unwrap().remove(index);
    ObjectiveConfig::named(objective).unwrap().objective(levels, index).unwrap()
}

/// A stage of `steps` steps that makes a teacher.
pub fn stage(
    name: &str,
    network: &Arc<dyn Network>,
    objective: Arc<dyn Objective>,
    start: StageStart,
    steps: u64,
) -> Stage {
    Stage {
        name: name.into(),
        makes: Product::teacher(STEPS, X0Clip::UnitRange, Solver::Ddim),
        network: Arc::clone(network),
        teacher: Arc::clone(network),
        objective,
        start,
        steps,
        learning_rate: LearningRate::constant(1e-3),
        inference_decay: 0.9,
        self_teacher_decay: 0.5,
        dropout: 0.1,
    }
}

/// These stages in batches of 6.
pub fn plan(stages: Vec<Stage>) -> Plan {
    Plan {
        seed: 5,
        compute: ComputePolicy::default(),
        batch: 6,
        micro_batch: 4,
        flip: true,
        adam: AdamConfig::default(),
        gradient: GradientRule::default(),
        stages,
        checkpoint_every: 12,
    }
}

/// 37 images of noise.
pub fn dataset() -> Arc<dyn Dataset> {
    let n = 37 * 64;
    let pixels: Vec<u8> =
        (0..n).map(|i| Key::new(9, 0, Stream::Sample).below(i, NonZero::new(256).unwrap()) as u8).collect();
    Arc::new(InMemory::new("noise", ImageShape { c: 1, h: 8, w: 8 }, pixels, None, 0).unwrap())
}

pub struct Setting {
    pub network: Arc<dyn Network>,
    /// The stage in which another network begins, and that network.
    pub student: Option<(usize, Arc<dyn Network>)>,
    pub tract: Arc<dyn Objective>,
    pub denoising: Arc<dyn Objective>,
    pub rates: Rates,
    micro_batch: usize,
    side: i64,
}

impl Setting {
    /// A network of `channels` channels on 8x8 images.
    pub fn new(channels: i64, micro_batch: usize) -> Self {
        Self {
            network: network(channels, vec![1, 2]),
            student: None,
            tract: phase("tract", &[STEPS, 4], 0),
            denoising: Arc::new(Denoising::new(Schedule::default(), DenoisingConfig::default()).unwrap()),
            rates: Rates { lr: 1e-3, inference_decay: 0.9, self_teacher_decay: 0.5 },
            micro_batch,
            side: 8,
        }
    }

    /// The same with a smaller student, some of whose tensors have the teacher's names and shapes.
    pub fn with_smaller_student(mut self, channels: i64, phase: usize) -> Self {
        self.student = Some((phase, network(channels, vec![1, 1])));
        self
    }

    /// A step of TRACT without dropout.
    pub fn settings(&self) -> StepSettings<'_> {
        StepSettings {
            student: self.network.as_ref(),
            teacher: self.network.as_ref(),
            objective: self.tract.as_ref(),
            micro_batch: self.micro_batch,
            compute: ComputePolicy::default(),
            gradient: GradientRule::default(),
            dropout: 0.0,
            rates: self.rates,
            keep_gradient: true,
        }
    }

    /// A distillation stage that starts so.
    pub fn distillation(&self, start: StageStart) -> Stage {
        stage("phase 1", &self.network, Arc::clone(&self.tract), start, 5)
    }

    /// A state inside a distillation stage.
    pub fn state(&self) -> TrainState {
        let adam = AdamConfig::default();
        let mut state = TrainState::fresh(self.network.as_ref(), 3, adam, Compute::F32, Device::Cpu).unwrap();
        state.enter(&self.distillation(StageStart::FromTeacher), 3, adam).unwrap();
        state
    }

    pub fn batch(&self, n: usize) -> Batch {
        let draws = Draws::new(1, 0, (0..n as u64).collect());
        let len = (self.side * self.side) as usize;
        let image = |stream| {
            let v = draws.normals(stream, len);
            Tensor::from_slice(&v).view([n as i64, 1, self.side, self.side]).to_kind(Kind::Double)
        };
        Batch { x0: image(Stream::Sample).clamp(-1.0, 1.0), noise: image(Stream::Noise), labels: None, draws }
    }

    /// Teacher and two phases, `steps` steps each, batches of 6.
    pub fn plan(&self, steps: u64) -> Plan {
        const SCHEDULE: [usize; 3] = [STEPS, 4, 1];
        let indices = PhasePlan::equal(&SCHEDULE).unwrap();
        // The student's network begins in one stage; the stage after that is taught by it.
        let of = |stage: usize| match &self.student {
            Some((enters, student)) if *enters <= stage => student,
            _ => &self.network,
        };
        let phase = |k: usize, otherwise| {
            let start = match &self.student {
                Some((enters, _)) if *enters == k => StageStart::NewStudent { from_teacher: true },
                _ => otherwise,
            };
            Stage {
                makes: Product::student(indices.phases()[k - 1].student_indices()),
                teacher: Arc::clone(of(k - 1)),
                ..stage(&format!("phase {k}"), of(k), phase("tract", &SCHEDULE, k - 1), start, steps)
            }
        };
        plan(vec![
            stage("teacher", of(0), Arc::clone(&self.denoising), StageStart::Fresh, steps),
            phase(1, StageStart::FromTeacher),
            phase(2, StageStart::CarryOn),
        ])
    }
}
