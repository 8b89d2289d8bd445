//! Images by seed: the same seed gives the same image in any batch, on any number of threads.

use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;

use fewstep_models::{Network, X0Clip, check_labels};
use fewstep_random::{Key, Stream};
use fewstep_schedules::NoiseGrid;
use fewstep_torch::{Compute, Device, Kind, Params, Tensor, in_order};

use crate::error::Result;
use crate::labels::LabelRule;
use crate::sample::{Sampled, initial_state};
use crate::sampler::Sampler;

/// A network with its parameters, and how it is sampled.
#[derive(Debug)]
pub struct Model {
    /// The network.
    pub network: Arc<dyn Network>,
    /// Its parameters, `[total]`, on the device that computes.
    pub flat: Tensor,
    /// What the network computes in.
    pub compute: Compute,
    /// The levels that sampling visits.
    pub grid: NoiseGrid,
    /// Clipping of `x0_hat`.
    pub clip: X0Clip,
    /// How they are visited.
    pub sampler: Sampler,
}

/// What images are made from.
#[derive(Debug)]
pub enum Start<'a> {
    /// The noise of these seeds, one image each.
    Seeds(Range<u64>),
    /// Noise of the caller's.
    Noise {
        /// Standard normal draws `[n, C, H, W]`, floating point, on the CPU: one image each.
        z: &'a Tensor,
        /// Seed of the first image's other draws (its class, and noise that is added back); the next ones follow.
        first_seed: u64,
    },
}

impl From<Range<u64>> for Start<'_> {
    fn from(seeds: Range<u64>) -> Self {
        Self::Seeds(seeds)
    }
}

/// All of a model but its parameters: plain data, which threads share.
#[derive(Clone, Copy)]
struct Way<'a> {
    network: &'a dyn Network,
    compute: Compute,
    grid: &'a NoiseGrid,
    clip: X0Clip,
    sampler: Sampler,
}

/// One batch on its way to a worker; clones of tensors share storage.
struct Job {
    flat: Tensor,
    seeds: Vec<u64>,
    /// `[n, C, H, W]`; absent: that of the seeds.
    noise: Option<Tensor>,
    labels: Option<Vec<i64>>,
}

impl Model {
    /// Labels of `seeds` for a network with classes; `None` for one without.
    pub fn labels(&self, seeds: &[u64], rule: &LabelRule) -> Option<Vec<i64>> {
        let classes = u64::try_from(self.network.n_classes()).ok().and_then(NonZero::new)?;
        Some(seeds.iter().map(|&seed| rule.label(seed, classes)).collect())
    }

    /// Images of seeds or of noise in order, `batch` at a time, each batch handed to `sink` as soon as its turn comes. On a
    /// CPU the batches are spread over the current rayon pool, one thread each.
    ///
    /// # Errors
    /// Noise of another shape than the images'; the network or the sink fails.
    pub fn stream<'s, E>(
        &self,
        start: impl Into<Start<'s>>,
        batch: usize,
        labels: &LabelRule,
        sink: &mut dyn FnMut(Sampled) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E>
    where
        E: From<crate::Error>,
    {
        let batch = batch.max(1);
        let (seeds, noise): (Vec<u64>, Vec<Option<Tensor>>) = match start.into() {
            Start::Seeds(seeds) => (seeds.collect(), Vec::new()),
            Start::Noise { z, first_seed } => {
                let n = self.check_noise(z)?;
                let parts = z.f_split(batch as i64, 0).map_err(crate::Error::from)?;
                ((first_seed..first_seed.saturating_add(n)).collect(), parts.into_iter().map(Some).collect())
            }
        };
        let spread = self.flat.device() == Device::Cpu;
        let noise = noise.into_iter().chain(std::iter::repeat_with(|| None));
        let jobs = seeds.chunks(batch).zip(noise).map(|(seeds, noise)| Job {
            flat: self.flat.shallow_clone(),
            seeds: seeds.to_vec(),
            noise,
            labels: self.labels(seeds, labels),
        });
        let Self { network, compute, grid, clip, sampler, .. } = self;
        let way = Way { network: network.as_ref(), compute: *compute, grid, clip: *clip, sampler: *sampler };
        in_order(spread, rayon::current_num_threads(), jobs, |job| way.run(&job), sink)
    }

    /// Number of images in noise of the images' shape.
    fn check_noise(&self, z: &Tensor) -> Result<u64> {
        let [c, h, w] = self.network.image_shape();
        match z.size()[..] {
            [n, ..] if z.size()[1..] == [c, h, w] => Ok(n as u64),
            _ => Err(crate::Error::Noise { expected: [c, h, w], got: z.size() }),
        }
    }
}

impl Way<'_> {
    fn run(&self, job: &Job) -> Result<Sampled> {
        let device = job.flat.device();
        let params = Params::frozen_in(self.compute, Arc::clone(self.network.layout()), &job.flat)?;
        let noise = match &job.noise {
            Some(z) => z.f_to_kind(Kind::Double)?.f_to_device(device)?,
            None => self.noise(&job.seeds, device)?,
        };
        let x = initial_state(&noise, self.grid)?;
        let labels = job.labels.as_ref().map(|labels| Tensor::f_from_slice(labels)).transpose()?;
        labels.iter().try_for_each(|labels| check_labels(labels, self.network.n_classes()))?;
        let labels = labels.map(|labels| labels.f_to_device(device)).transpose()?;
        let denoiser = self.network.denoiser(&params).with_labels(labels.as_ref());
        self.sampler.run(&denoiser, self.clip, self.grid, &x, &job.seeds)
    }

    /// The initial noise of `seeds`, f64 `[n, C, H, W]`: a function of the seed alone.
    fn noise(&self, seeds: &[u64], device: Device) -> Result<Tensor> {
        let [c, h, w] = self.network.image_shape();
        let draws = Key::new(0, 0, Stream::Sample).normals(seeds, (c * h * w) as usize);
        let z = Tensor::f_from_slice(&draws)?.f_view([seeds.len() as i64, c, h, w])?;
        Ok(z.f_to_device(device)?.f_to_kind(Kind::Double)?)
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
        let network = config.build().unwrap();
        // Parameters that start as zero would hide the labels.
        let flat = network.layout().initial(1).unwrap() + 0.01;
        let grid = Schedule::default().grid(4).unwrap();
        let churn = Churn { s_churn: 4.0, ..Churn::default() };
        let (heun, stochastic) = (Solver::Heun.into(), Sampler { churn: Some(churn), ..Solver::Heun.into() });
        let mut seen: Vec<Tensor> = Vec::new();
        for sampler in [Sampler::default(), heun, stochastic] {
            let model = Model {
                network: Arc::clone(&network),
                flat: flat.shallow_clone(),
                compute: Compute::F32,
                grid: grid.clone(),
                clip: X0Clip::UnitRange,
                sampler,
            };
            let all = |seeds, batch| {
                let mut parts = Vec::new();
                let mut keep = |s: Sampled| -> Result<()> {
                    assert_eq!(s.nfe, if sampler.solver == Solver::Heun { 8 } else { 4 });
                    parts.push(s.x0);
                    Ok(())
                };
                model.stream(seeds, batch, &LabelRule::Uniform, &mut keep).unwrap();
                Tensor::cat(&parts, 0)
            };
            let whole = all(0..10, 10);
            assert_eq!(whole.size(), [10, 1, 4, 4]);
            let close = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]) < 1e-5;
            assert!(close(&all(0..10, 3), &whole));
            assert!(close(&all(7..9, 1), &whole.narrow(0, 7, 2)));
            assert!(!close(&whole.narrow(0, 0, 1), &whole.narrow(0, 1, 1)));
            // The noise of the seeds, given from outside, is the same start.
            let draws = Key::new(0, 0, Stream::Sample).normals(&(0..10).collect::<Vec<u64>>(), 16);
            let z = Tensor::from_slice(&draws).view([10, 1, 4, 4]);
            let mut parts = Vec::new();
            let mut keep = |s: Sampled| -> Result<()> {
                parts.push(s.x0);
                Ok(())
            };
            let given = Start::Noise { z: &z, first_seed: 0 };
            model.stream(given, 4, &LabelRule::Uniform, &mut keep).unwrap();
            assert!(close(&Tensor::cat(&parts, 0), &whole));
            let flat = Start::Noise { z: &z.view([10, 16]), first_seed: 0 };
            let e =
                model.stream(flat, 4, &LabelRule::Uniform, &mut |_| Ok::<(), crate::Error>(())).unwrap_err();
            assert!(e.to_string().contains("[N, 1, 4, 4]"), "{e}");
            assert!(seen.iter().all(|other| !close(other, &whole)), "each sampler is another");
            seen.push(whole);
        }
    }
}
