//! Images from noise.

use anyhow::Result;
use fewstep_models::{ModelConfig, X0Clip};
use fewstep_samplers::{LabelRule, Model, Sampler};
use fewstep_schedules::Schedule;
use fewstep_torch::{Compute, Device};

use super::{Machine, Measured, timed};

/// Sampling to time.
#[derive(Clone, Debug)]
pub struct SampleCase {
    /// The network.
    pub model: ModelConfig,
    /// Images in all, and of one pass on one thread.
    pub batch: [usize; 2],
    /// Steps of DDIM.
    pub steps: usize,
    /// The kind that the network computes in.
    pub compute: Compute,
    /// Where tensors are.
    pub device: Device,
    /// Seconds to measure for.
    pub seconds: f64,
}

/// Times it.
///
/// # Errors
/// A case that cannot be built, or libtorch fails.
pub fn sample(case: &SampleCase, machine: &Machine) -> Result<Measured> {
    let network = case.model.build()?;
    let flat = network.layout().initial(0)?.f_to_device(case.device)?.f_to_kind(case.compute.kind())?;
    let model = Model {
        network,
        flat,
        compute: case.compute,
        grid: Schedule::default().grid(case.steps)?,
        clip: X0Clip::UnitRange,
        sampler: Sampler::default(),
    };
    let [n, batch] = case.batch;
    let mut once = || -> Result<()> {
        model.stream(0..n as u64, batch, &LabelRule::Uniform, &mut |sampled| -> Result<()> {
            // Reading a number waits for the device.
            sampled.x0.f_double_value(&[0, 0, 0, 0])?;
            Ok(())
        })
    };
    let seconds = timed(1, case.seconds, &mut once)?;
    let profile = fewstep_torch::Profile::start()?;
    once()?;
    let flops: f64 = profile.finish()?.iter().map(|op| op.flops).sum();
    let name = format!("{} steps of DDIM, batch {n}, {}", case.steps, case.compute);
    Ok(Measured::images(name, n, flops, &seconds, machine))
}
