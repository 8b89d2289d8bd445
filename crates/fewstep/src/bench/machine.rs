//! What the machine can do: its rate of plain matrix products and of plain copies.

use std::time::Instant;

use anyhow::Result;
use fewstep_torch::{Device, Kind, Tensor, in_order};
use serde::Serialize;

use crate::doctor::cpu_model;

/// Side of the matrices: their product stays in the caches of a core and keeps it busy.
const SIDE: i64 = 768;
/// Of the device's matrices, which has more to keep busy.
const DEVICE_SIDE: i64 = 8192;
/// Bytes that are copied: more than any cache holds.
const COPIED: i64 = 256 << 20;

/// The machine that numbers were measured on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Its processor, as it calls itself.
    pub cpu: String,
    /// Threads that worked.
    pub threads: usize,
    /// Where tensors were.
    pub device: String,
    /// Its rates.
    pub rates: Rates,
}

/// Rates of a device.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rates {
    /// Multiplications and additions per second in a product of matrices of the kind that is measured.
    pub flops: f64,
    /// Bytes that are read and bytes that are written, per second, in a copy.
    pub bytes: f64,
}

impl Machine {
    /// Measures it, in products of `kind`.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn measure(device: Device, kind: Kind) -> Result<Self> {
        let rates = Rates { flops: products(device, kind)?, bytes: copies(device)? };
        let cpu = cpu_model().unwrap_or_else(|| "unknown".to_owned());
        Ok(Self { cpu, threads: rayon::current_num_threads(), device: format!("{device:?}"), rates })
    }
}

/// The seconds of the repetitions of `once` on each thread at once, or on a device: the best of a few. `prepare` is not
/// timed, and neither is the first repetition, which touches new memory.
fn best<T>(
    device: Device,
    repeats: u32,
    prepare: impl Fn() -> Result<T> + Sync,
    once: impl Fn(&mut T) -> Result<()> + Sync,
    wait: impl Fn(&T) -> Result<()> + Sync,
) -> Result<f64> {
    let threads = if device == Device::Cpu { rayon::current_num_threads() } else { 1 };
    let job = |()| -> Result<f64> {
        let mut made = prepare()?;
        once(&mut made)?;
        wait(&made)?;
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let start = Instant::now();
            for _ in 0..repeats {
                once(&mut made)?;
            }
            wait(&made)?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(best)
    };
    let mut slowest = 0.0;
    in_order(device == Device::Cpu, threads, vec![(); threads], job, |seconds| {
        slowest = f64::max(slowest, seconds);
        anyhow::Ok(())
    })?;
    Ok(slowest / f64::from(repeats) / threads as f64)
}

/// Multiplications and additions per second.
fn products(device: Device, kind: Kind) -> Result<f64> {
    let (side, repeats) = if device == Device::Cpu { (SIDE, 20) } else { (DEVICE_SIDE, 10) };
    let prepare = || {
        let a = Tensor::f_ones([side, side], (kind, device))?;
        Ok((a.f_mm(&a)?, a))
    };
    let once = |(product, a): &mut (Tensor, Tensor)| {
        *product = a.f_mm(a)?;
        Ok(())
    };
    // Reading a number waits for the device.
    let wait = |(product, _): &(Tensor, Tensor)| Ok(product.f_double_value(&[0, 0]).map(drop)?);
    Ok(2.0 * (side as f64).powi(3) / best(device, repeats, prepare, once, wait)?)
}

/// Bytes read and bytes written per second.
fn copies(device: Device) -> Result<f64> {
    let prepare = || {
        let from = Tensor::f_zeros([COPIED / 4], (Kind::Float, device))?;
        Ok((from.f_ones_like()?, from))
    };
    let once = |(to, from): &mut (Tensor, Tensor)| Ok(to.f_copy_(from)?);
    let wait = |(to, _): &(Tensor, Tensor)| Ok(to.f_double_value(&[0]).map(drop)?);
    Ok(2.0 * COPIED as f64 / best(device, 4, prepare, once, wait)?)
}
