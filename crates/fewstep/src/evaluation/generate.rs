//! Images of a model, as 8-bit batches.

use anyhow::{Context, Result};
use fewstep_eval::{Quantisation, Seeds};
use fewstep_samplers::{LabelRule, Model, Sampled, Start};
use fewstep_torch::{Device, Tensor};

use crate::session::Session;

/// Which images are generated.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// One seed per image.
    pub seeds: Seeds,
    /// Images per batch.
    pub batch: usize,
    /// The class of each, for a model with classes.
    pub labels: &'a LabelRule,
    /// How samples become 8-bit images.
    pub quantisation: Quantisation,
}

/// Hands a model's images to `sink` in the order of their seeds, u8 `[n, C, H, W]` on the CPU; returns the network
/// evaluations per image. `what` names them in progress.
///
/// # Errors
/// The network or the sink fails, or the session is stopped.
pub fn generate(
    model: &Model,
    request: Request,
    what: &str,
    session: &Session,
    sink: &mut dyn FnMut(&Tensor) -> Result<()>,
) -> Result<u64> {
    let Request { seeds, batch, labels, quantisation } = request;
    let end = seeds.first.checked_add(seeds.count).context("seeds: first and count are beyond 64 bits")?;
    let start = Start::Seeds(seeds.first..end);
    let mut quantised = |x0: &Tensor| sink(&quantisation.apply(x0)?);
    generate_floats(model, (start, seeds.count), batch, labels, what, session, &mut quantised)
}

/// The same before rounding, f64 `[n, C, H, W]`, from seeds or from noise; `start` comes with its number of images.
///
/// # Errors
/// Those of [`generate`].
pub fn generate_floats(
    model: &Model,
    (start, n): (Start<'_>, u64),
    batch: usize,
    labels: &LabelRule,
    what: &str,
    session: &Session,
    sink: &mut dyn FnMut(&Tensor) -> Result<()>,
) -> Result<u64> {
    let mut progress = session.images(what, n)?;
    let mut nfe = 0;
    let mut keep = |s: Sampled| -> Result<()> {
        session.check()?;
        nfe = s.nfe;
        sink(&s.x0.f_to_device(Device::Cpu)?)?;
        progress.add(s.x0.size()[0] as usize);
        Ok(())
    };
    model.stream(start, batch, labels, &mut keep)?;
    Ok(nfe)
}
