//! What a step does with the gradient: its norm, clipping, Adam and both averages.

use anyhow::Result;
use fewstep_torch::{Adam, AdamConfig, Compute, Device, Ema, GradientRule, Tensor};

use super::{Machine, Measured, timed};

/// Times the updates of `n` parameters.
///
/// What must go through memory: the norm reads the gradient. The update reads gradient, parameters, both moments and both
/// averages, and writes all but the gradient: 12 numbers per parameter in all.
///
/// # Errors
/// libtorch cannot allocate.
pub fn optim(
    n: usize,
    compute: Compute,
    device: Device,
    seconds: f64,
    machine: &Machine,
) -> Result<Measured> {
    let flat = Tensor::f_zeros([n as i64], (compute.kind(), device))?;
    let mut gradient = flat.f_ones_like()?;
    let (mut adam, mut a, mut b) =
        (Adam::new(AdamConfig::default(), &flat)?, Ema::of(&flat)?, Ema::of(&flat)?);
    let once = || -> Result<()> {
        let (_, scaling) = GradientRule::default().scaling(&gradient)?;
        adam.step(&flat, &mut gradient, 1e-4, scaling, &mut [(&mut a, 0.5), (&mut b, 0.9999)])?;
        Ok(())
    };
    let seconds = timed(2, seconds, once)?;
    let bytes = (12 * n * compute.bytes()) as f64;
    let name = format!("clip, Adam and averages of {:.1} M parameters", n as f64 / 1e6);
    Ok(Measured::moved(name, bytes, &seconds, machine))
}
