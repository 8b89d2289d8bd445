//! What training must hold in memory: buffers by their sizes, the work on micro-batches by a trial.
//!
//! The trial computes the gradient of two images and of three, of nothing but zeros, and records what libtorch allocates
//! meanwhile. A formula over the layers was the alternative: it would have to be written again for each network, and would
//! not know networks and objectives from outside.

use std::sync::Arc;

use fewstep_distill::{Asks, Batch};
use fewstep_models::Network;
use fewstep_random::Draws;
use fewstep_torch::{Adam, Curve, Device, Ema, Kind, Tensor, in_order, metered, release_freed};

use crate::error::{Error, Result};
use crate::in_flight::InFlight;
use crate::plan::{Plan, Stage};
use crate::policy::ComputePolicy;
use crate::state::TrainState;
use crate::step::{MicroBatch, Rates, StepSettings};
use crate::trainer::PREFETCH;

/// What the training of a plan holds at its largest, in bytes. Not in it: the program with libtorch, and the data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Flat buffers of the state: student, Adam's two moments, averages, teacher. A checkpoint has as much.
    pub state: u64,
    /// Flat gradients beside those of the micro-batches that run: the sum, and those that wait for their turn.
    pub gradients: u64,
    /// Batches: those made ahead, and the one in use.
    pub batches: u64,
    /// Micro-batches that run at once.
    pub running: u64,
    /// The most that one of them holds at any time, its own gradient included; `None`: not tried.
    pub each: Option<u64>,
}

impl Need {
    /// All that is known.
    pub fn total(&self) -> u64 {
        self.state + self.gradients + self.batches + self.running * self.each.unwrap_or(0)
    }
}

impl Plan {
    /// What the training holds at its largest, on a device, with so many threads, as far as sizes tell it: without
    /// [`Need::each`].
    pub fn buffers(&self, device: Device, threads: usize) -> Need {
        let stages = self.stages.iter().map(|stage| self.stage_buffers(stage, device, threads));
        stages.max_by_key(Need::total).unwrap_or_default()
    }

    /// The whole of it. What is found on the CPU stands for other devices as well, whose libraries take other room for
    /// their work.
    ///
    /// # Errors
    /// A network or objective fails, or there is not enough memory for three images.
    pub fn need(&self, device: Device, threads: usize) -> Result<Need> {
        let mut tried: Vec<(Kinship<'_>, u64)> = Vec::new();
        let mut largest = Need::default();
        for (index, stage) in self.stages.iter().enumerate() {
            let kinship = Kinship::of(stage);
            let known = tried.iter().find(|(of, _)| *of == kinship).map(|&(_, bytes)| bytes);
            let each = match known {
                Some(bytes) => bytes,
                None => self.try_out(index, stage)?,
            };
            tried.push((kinship, each));
            let need = Need { each: Some(each), ..self.stage_buffers(stage, device, threads) };
            largest = if need.total() > largest.total() { need } else { largest };
        }
        Ok(largest)
    }

    fn stage_buffers(&self, stage: &Stage, device: Device, threads: usize) -> Need {
        /// Parameters, Adam's two moments, inference average.
        const TRAINED: u64 = 4;
        let bytes =
            |network: &Arc<dyn Network>| (network.layout().total() * self.compute.student.bytes()) as u64;
        let (student, asks) = (bytes(&stage.network), stage.objective.asks());
        let teacher = if asks.teacher { bytes(&stage.teacher) } else { 0 };
        let parts = self.batch.div_ceil(self.micro_batch.max(1)) as u64;
        let flight = match device {
            Device::Cpu => InFlight::new(threads, student),
            _ => InFlight { running: 1, waiting: 0 },
        };
        let running = parts.min(flight.running as u64);
        let waiting = (parts - running).min(flight.waiting as u64);
        let summed = u64::from(parts > running);
        let values = self.batch as u64 * stage.network.image_shape().iter().product::<i64>().cast_unsigned();
        // Images and noise: f32 in those made ahead and in the one in the making, f64 in the one in use.
        let batches = values * 2 * (4 * (PREFETCH as u64 + 1) + 8);
        Need {
            state: student * (TRAINED + u64::from(asks.self_teacher)) + teacher,
            gradients: student * (summed + waiting),
            batches,
            running,
            each: None,
        }
    }

    /// The most that a micro-batch of a stage holds, by a trial.
    fn try_out(&self, index: usize, stage: &Stage) -> Result<u64> {
        let micro_batch = self.micro_batch.clamp(1, self.batch.max(1));
        let settings = StepSettings {
            student: stage.network.as_ref(),
            teacher: stage.teacher.as_ref(),
            objective: stage.objective.as_ref(),
            micro_batch,
            compute: self.tried_compute(),
            gradient: self.gradient,
            dropout: stage.dropout,
            rates: Rates { lr: 0.0, inference_decay: 0.0, self_teacher_decay: 0.0 },
            keep_gradient: false,
        };
        let state = self.hollow_state(stage)?;
        // One image takes other ways through libtorch than more do: what is contiguous for one is not for two.
        let few = micro_batch.min(2) as i64;
        let sizes = if micro_batch > 2 { few..=few + 1 } else { few..=few };
        // Kept to the end: what a trial did not allocate it must not free.
        let batches = sizes.map(|n| zeros(stage, self.seed, index as u64, n)).collect::<Result<Vec<_>>>()?;
        let jobs = batches
            .iter()
            .map(|batch| Ok(MicroBatch::new(&state, batch.slice(0..batch.len())?)))
            .collect::<Result<Vec<_>>>()?;
        let run = |job: MicroBatch| -> Result<Curve> {
            let (gradient, curve) = metered(|| job.gradient(&settings, micro_batch))?;
            gradient.map(|_| curve)
        };
        let mut curves = Vec::new();
        in_order(true, 2, jobs, run, |curve| -> Result<()> {
            curves.push(curve);
            Ok(())
        })?;
        drop((state, batches));
        release_freed();
        match curves.as_slice() {
            [two, three] => Ok(Curve::most_of(micro_batch as u64, 2, [two, three])),
            [all] => Ok(all.most()),
            _ => Err(Error::Plan { key: "micro_batch", problem: "nothing was tried".into() }),
        }
    }

    /// What the trial computes in. What this CPU cannot is tried in f32, which takes more.
    fn tried_compute(&self) -> ComputePolicy {
        match self.compute.check(Device::Cpu) {
            Ok(()) => self.compute,
            Err(_) => ComputePolicy::default(),
        }
    }

    /// A state whose buffers share one storage: a gradient only reads them.
    fn hollow_state(&self, stage: &Stage) -> Result<TrainState> {
        let zeros = |network: &Arc<dyn Network>| {
            Tensor::f_zeros([network.layout().total() as i64], (self.compute.student.kind(), Device::Cpu))
        };
        let student = zeros(&stage.network)?;
        let flat = || student.shallow_clone();
        let same = Arc::ptr_eq(&stage.network, &stage.teacher);
        Ok(TrainState {
            stage: 0,
            nimg: 0,
            entered: true,
            adam: Adam::restore(self.adam, flat(), flat(), 0),
            inference: Ema { flat: flat(), updates: 0 },
            self_teacher: Some(Ema { flat: flat(), updates: 0 }),
            teacher: Some(if same { flat() } else { zeros(&stage.teacher)? }),
            student,
        })
    }
}

/// What a trial depends on, within a plan.
#[derive(Clone, Copy, Debug)]
struct Kinship<'a> {
    networks: [&'a Arc<dyn Network>; 2],
    asks: Asks,
    dropout: bool,
}

impl<'a> Kinship<'a> {
    fn of(stage: &'a Stage) -> Self {
        let (asks, dropout) = (stage.objective.asks(), stage.dropout > 0.0);
        Self { networks: [&stage.network, &stage.teacher], asks, dropout }
    }
}

impl PartialEq for Kinship<'_> {
    fn eq(&self, other: &Self) -> bool {
        let [[a, b], [c, d]] = [self.networks, other.networks];
        let same = Arc::ptr_eq(a, c) && Arc::ptr_eq(b, d);
        same && self.asks == other.asks && self.dropout == other.dropout
    }
}

/// A batch of zeros for a network, with the draws of the first samples of a stage.
fn zeros(stage: &Stage, seed: u64, index: u64, n: i64) -> Result<Batch> {
    let [c, h, w] = stage.network.image_shape();
    let image = || Tensor::f_zeros([n, c, h, w], (Kind::Double, Device::Cpu));
    let classes = stage.network.n_classes().max(stage.teacher.n_classes());
    let labels = (classes > 0).then(|| Tensor::f_zeros([n], (Kind::Int64, Device::Cpu))).transpose()?;
    let draws = Draws::new(seed, index, (0..n.unsigned_abs()).collect());
    Ok(Batch { x0: image()?, noise: image()?, labels, draws })
}
