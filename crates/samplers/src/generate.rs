//! Images by seed: the same seed gives the same image in any batch, on any number of threads.

use std::num::NonZero;
use std::sync::Arc;

use fewstep_models::Model;
use fewstep_schedules::NoiseGrid;
use fewstep_torch::{Device, Key, Kind, Params, Stream, Tensor};
use rayon::prelude::*;

use crate::clip::X0Clip;
use crate::error::Result;
use crate::labels::LabelRule;
use crate::sample::{Sampled, initial_state};
use crate::sampler::Sampler;

/// A model over parameters, and how it is sampled.
#[derive(Debug)]
pub struct Generator<'a> {
    /// The network.
    pub model: &'a Model,
    /// Its parameters, `[total]`, on the device that is to compute.
    pub flat: &'a Tensor,
    /// The levels that sampling visits.
    pub grid: &'a NoiseGrid,
    /// Clipping of `x0_hat`.
    pub clip: X0Clip,
    /// How they are visited.
    pub sampler: Sampler,
}

/// What one worker needs; clones of tensors share storage.
struct Job {
    flat: Tensor,
    seeds: Vec<u64>,
    labels: LabelRule,
}

impl Generator<'_> {
    /// The initial noise of `seeds`, f64 `[n, C, H, W]`: a function of the seed alone.
    fn noise(&self, seeds: &[u64], device: Device) -> Result<Tensor> {
        let [c, h, w] = self.model.config().image_shape();
        let draws = Key::new(0, 0, Stream::Sample).normals(seeds, (c * h * w) as usize);
        let z = Tensor::f_from_slice(&draws)?.f_view([seeds.len() as i64, c, h, w])?;
        Ok(z.f_to_device(device)?.f_to_kind(Kind::Double)?)
    }

    /// Labels of `seeds` for a network with classes; `None` for one without.
    pub fn labels(&self, seeds: &[u64], rule: &LabelRule) -> Option<Vec<i64>> {
        let classes = u64::try_from(self.model.config().n_classes()).ok().and_then(NonZero::new)?;
        Some(seeds.iter().map(|&seed| rule.label(seed, classes)).collect())
    }

    fn run(&self, job: &Job) -> Result<Sampled> {
        let device = job.flat.device();
        let params = Params::frozen(Arc::clone(self.model.layout()), &job.flat)
            .map_err(fewstep_models::Error::from)?;
        let x = initial_state(&self.noise(&job.seeds, device)?, self.grid)?;
        let labels = self.labels(&job.seeds, &job.labels);
        let labels = labels.map(|l| Tensor::f_from_slice(&l)?.f_to_device(device)).transpose()?;
        let denoiser = self.model.denoiser(&params);
        self.sampler.run(&denoiser, self.grid, &x, labels.as_ref(), self.clip, &job.seeds)
    }

    /// Images of `seeds` in order, `batch` at a time, each batch handed to `sink` as soon as its turn comes. On a CPU the
    /// batches are spread over the current rayon pool, one thread each.
    ///
    /// # Errors
    /// The network or the sink fails.
    pub fn stream<E>(
        &self,
        seeds: std::ops::Range<u64>,
        batch: usize,
        labels: &LabelRule,
        sink: &mut dyn FnMut(Sampled) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E>
    where
        E: From<crate::Error>,
    {
        let seeds: Vec<u64> = seeds.collect();
        let parallel = self.flat.device() == Device::Cpu;
        let wave = if parallel { rayon::current_num_threads().max(1) } else { 1 };
        let batches: Vec<&[u64]> = seeds.chunks(batch.max(1)).collect();
        // The network and its grid are plain data; only tensors must be handed over one by one.
        let Self { model, grid, clip, sampler, .. } = *self;
        for now in batches.chunks(wave) {
            let jobs: Vec<Job> = now
                .iter()
                .map(|seeds| Job {
                    flat: self.flat.shallow_clone(),
                    seeds: seeds.to_vec(),
                    labels: labels.clone(),
                })
                .collect();
            let run = |job: Job| Generator { model, flat: &job.flat, grid, clip, sampler }.run(&job);
            let done: Vec<Result<Sampled>> = if jobs.len() > 1 {
                jobs.into_par_iter().map(run).collect()
            } else {
                jobs.into_iter().map(run).collect()
            };
            for images in done {
                sink(images?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Churn, Solver};
    use fewstep_models::ddpm::DdpmConfig;
    use fewstep_models::{Architecture, ModelConfig, Prediction};
    use fewstep_schedules::Schedule;

    #[test]
    fn an_image_depends_on_its_seed_only() {
        let network = DdpmConfig {
            image_channels: 1,
            resolution: 4,
            channels: 8,
            channel_mult: vec![1],
            n_res_blocks: 1,
            attention_resolutions: vec![],
            embedding_channels: 16,
            n_classes: 3,
            ..DdpmConfig::cifar10()
        };
        let config = ModelConfig { network: Architecture::DdpmUnet(network), prediction: Prediction::V };
        let model = Model::new(config).unwrap();
        // Parameters that start as zero would hide the labels.
        let flat = model.layout().initial(1).unwrap() + 0.01;
        let grid = Schedule::default().grid(4).unwrap();
        let churn = Churn { s_churn: 4.0, ..Churn::default() };
        let (heun, stochastic) = (
            Sampler { solver: Solver::Heun, churn: None },
            Sampler { solver: Solver::Heun, churn: Some(churn) },
        );
        let mut seen: Vec<Tensor> = Vec::new();
        for sampler in [Sampler::default(), heun, stochastic] {
            let generator =
                Generator { model: &model, flat: &flat, grid: &grid, clip: X0Clip::UnitRange, sampler };
            let all = |seeds, batch| {
                let mut parts = Vec::new();
                let mut keep = |s: Sampled| -> Result<()> {
                    assert_eq!(s.nfe, if sampler.solver == Solver::Heun { 8 } else { 4 });
                    parts.push(s.x0);
                    Ok(())
                };
                generator.stream(seeds, batch, &LabelRule::Uniform, &mut keep).unwrap();
                Tensor::cat(&parts, 0)
            };
            let whole = all(0..10, 10);
            assert_eq!(whole.size(), [10, 1, 4, 4]);
            let close = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]) < 1e-5;
            assert!(close(&all(0..10, 3), &whole));
            assert!(close(&all(7..9, 1), &whole.narrow(0, 7, 2)));
            assert!(!close(&whole.narrow(0, 0, 1), &whole.narrow(0, 1, 1)));
            assert!(seen.iter().all(|other| !close(other, &whole)), "each sampler is another");
            seen.push(whole);
        }
    }
}
