//! A small network with everything that a step needs.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)] // each user takes what it needs

use std::num::NonZero;
use std::sync::Arc;

use fewstep_data::{Dataset, ImageShape, InMemory};
use fewstep_distill::{Batch, Denoising, DenoisingConfig, Tract, TractConfig};
use fewstep_models::ddpm::DdpmConfig;
use fewstep_models::{Architecture, Model, ModelConfig, Prediction};
use fewstep_schedules::{LearningRate, PhasePlan, Schedule};
use fewstep_torch::{AdamConfig, Compute, Device, GradientRule, Key, Kind, Stream, Tensor};
use fewstep_train::{
    Draws, Networks, Objective, Rates, Stage, StageStart, StepOptions, TrainPlan, TrainState,
};

/// A network of `channels` channels on 8x8 images.
fn network(channels: i64, channel_mult: Vec<i64>) -> Model {
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
    Model::new(ModelConfig { network: Architecture::DdpmUnet(network), prediction: Prediction::V }).unwrap()
}

pub struct Setting {
    pub model: Model,
    /// The stage in which another network begins, and that network.
    pub student: Option<(usize, Model)>,
    pub tract: Objective,
    pub denoising: Objective,
    pub rates: Rates,
    pub options: StepOptions<'static>,
    side: i64,
}

impl Setting {
    /// A network of `channels` channels on 8x8 images.
    pub fn new(channels: i64, micro_batch: usize) -> Self {
        let schedule = Schedule::default();
        let phase = PhasePlan::equal(&[16, 4]).unwrap().phases()[0].clone();
        let tract = Tract { grid: schedule.grid(16).unwrap(), config: TractConfig::default() };
        Self {
            model: network(channels, vec![1, 2]),
            student: None,
            tract: Objective::Tract { tract, phase },
            denoising: Objective::Denoising(Denoising { schedule, config: DenoisingConfig::default() }),
            rates: Rates { lr: 1e-3, inference_decay: 0.9, self_teacher_decay: 0.5 },
            options: StepOptions {
                micro_batch,
                gradient: GradientRule::default(),
                keep_gradient: true,
                dropout: None,
                teacher: None,
            },
            side: 8,
        }
    }

    /// The same with a smaller student, some of whose tensors have the teacher's names and shapes.
    pub fn with_smaller_student(mut self, channels: i64, phase: usize) -> Self {
        self.student = Some((phase, network(channels, vec![1, 1])));
        self
    }

    pub fn networks(&self, plan: &TrainPlan) -> Networks<'_> {
        Networks::of(plan, &self.model, self.student.as_ref().map_or(&self.model, |(_, student)| student))
    }

    /// A state inside a distillation stage.
    pub fn state(&self) -> TrainState {
        let mut state =
            TrainState::fresh(&self.model, 3, AdamConfig::default(), Compute::F32, Device::Cpu).unwrap();
        state.enter_stage(StageStart::FromTeacher, true, AdamConfig::default()).unwrap();
        state
    }

    pub fn batch(&self, n: usize) -> Batch {
        let ns: Vec<u64> = (0..n as u64).collect();
        let len = (self.side * self.side) as usize;
        let image = |stream| {
            let v = Key::new(1, 0, stream).normals(&ns, len);
            Tensor::from_slice(&v).view([n as i64, 1, self.side, self.side]).to_kind(Kind::Double)
        };
        Batch { x0: image(Stream::Sample).clamp(-1.0, 1.0), noise: image(Stream::Noise), labels: None }
    }

    pub fn draws(&self, n: usize) -> Draws {
        let ns: Vec<u64> = (0..n as u64).collect();
        self.tract.draw(1, 0, &ns).unwrap()
    }

    /// 37 images of noise.
    pub fn dataset(&self) -> Arc<dyn Dataset> {
        let n = 37 * 64;
        let pixels: Vec<u8> = (0..n)
            .map(|i| Key::new(9, 0, Stream::Sample).below(i, NonZero::new(256).unwrap()) as u8)
            .collect();
        Arc::new(InMemory::new("noise", ImageShape { c: 1, h: 8, w: 8 }, pixels, None, 0).unwrap())
    }

    /// Teacher and two phases, `steps` steps each, batches of 6.
    pub fn plan(&self, steps: u64) -> TrainPlan {
        let grid = Schedule::default().grid(16).unwrap();
        let phases = PhasePlan::equal(&[16, 4, 1]).unwrap();
        let stage = |name: &str, objective, start| Stage {
            name: name.into(),
            objective,
            start,
            steps,
            learning_rate: LearningRate::constant(1e-3),
            inference_decay: 0.9,
            self_teacher_decay: 0.5,
            dropout: 0.1,
        };
        let phase = |k: usize| Objective::Tract {
            tract: Tract { grid: grid.clone(), config: TractConfig::default() },
            phase: phases.phases()[k].clone(),
        };
        let start = |phase, otherwise| match &self.student {
            Some((enters, _)) if *enters == phase => StageStart::NewStudent { from_teacher: true },
            _ => otherwise,
        };
        TrainPlan {
            seed: 5,
            compute: Compute::F32,
            batch: 6,
            micro_batch: 4,
            flip: true,
            adam: AdamConfig::default(),
            gradient: GradientRule::default(),
            stages: vec![
                stage("teacher", self.denoising.clone(), StageStart::Fresh),
                stage("phase 1", phase(0), start(1, StageStart::FromTeacher)),
                stage("phase 2", phase(1), start(2, StageStart::CarryOn)),
            ],
            checkpoint_every: 12,
        }
    }
}
