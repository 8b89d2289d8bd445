//! The names that most programs over this crate need: `use fewstep::prelude::*`.

pub use std::sync::Arc;

pub use fewstep_data::{Dataset, DatasetSpec, ImageShape, InMemory, digits};
pub use fewstep_distill::{
    Asks, Batch, Btd, BtdConfig, Denoising, DenoisingConfig, Objective, ObjectiveConfig, Reduction, Target,
    Teachers, Tract, TractConfig,
};
pub use fewstep_eval::{ExtractFeatures, Features, Metric, MetricChoice, Space};
pub use fewstep_models::edm::SongConfig;
pub use fewstep_models::nn::Linear;
pub use fewstep_models::{
    Architecture, Clipped, Conditions, Denoiser, Levels, ModelConfig, Network, Prediction, X0Clip,
};
pub use fewstep_random::{Draws, Key, Stream};
pub use fewstep_samplers::{Model, ModelFile, Sampler, Solver, ddim, diffuse};
pub use fewstep_schedules::{NoiseGrid, NoiseLevel, NoiseSchedule, PhaseLevels, PhasePlan, Schedule};
pub use fewstep_torch::{Device, Init, Kind, Layout, LayoutBuilder, Params, ScalarOps, Tensor, no_grad};

pub use crate::{Budget, distil, measure, measure_by, sample, train_teacher};
