//! Images from a generator, as 8-bit batches.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use fewstep_eval::{Quantisation, Seeds};
use fewstep_samplers::{Generator, LabelRule, Sampled};
use fewstep_torch::{Device, Tensor};
use indicatif::MultiProgress;

use crate::progress::ImageProgress;
use crate::signals::Stopped;

/// What is generated.
pub(crate) struct Request<'a> {
    pub(crate) seeds: Seeds,
    /// Images a batch.
    pub(crate) batch: usize,
    /// The class of each, for a model with classes.
    pub(crate) labels: &'a LabelRule,
    pub(crate) quantisation: Quantisation,
}

/// Hands a generator's images to `sink` in the order of their seeds, u8 `[n, C, H, W]` on the CPU; returns the network
/// evaluations an image.
pub(crate) fn generate(
    generator: &Generator,
    request: Request,
    (what, bars, stop): (&str, &MultiProgress, &AtomicBool),
    sink: &mut dyn FnMut(&Tensor) -> Result<()>,
) -> Result<u64> {
    let Request { seeds, batch, labels, quantisation } = request;
    let end = seeds.first.checked_add(seeds.count).context("seeds: first and count are beyond 64 bits")?;
    let mut progress = ImageProgress::new(bars, what, seeds.count)?;
    let mut nfe = 0;
    let mut keep = |s: Sampled| -> Result<()> {
        if stop.load(Ordering::Relaxed) {
            bail!(Stopped);
        }
        nfe = s.nfe;
        sink(&quantisation.apply(&s.x0.f_to_device(Device::Cpu)?)?)?;
        progress.add(s.x0.size()[0] as usize);
        Ok(())
    };
    generator.stream(seeds.first..end, batch, labels, &mut keep)?;
    Ok(nfe)
}
