//! Measuring a model: generate, quantise, compare with the data.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use fewstep_data::Dataset;
use fewstep_eval::{
    ComputeKind, Digest, Extractor, Generated, ImageMoments, ImageShape, Program, Quantisation, Record,
    Reference, Seeds, Weights,
};
use fewstep_samplers::{Generator, Sampled};
use fewstep_schedules::NoiseGrid;
use fewstep_torch::{Device, Tensor};
use indicatif::{MultiProgress, ProgressBar};

use crate::config::EvaluationConfig;

/// Real images per push into the moments.
const REFERENCE_BATCH: usize = 1024;

/// A data set's moments in a feature space, and its identity.
pub(crate) struct ReferenceSet {
    extractor: Extractor,
    moments: ImageMoments,
    identity: Reference,
}

impl ReferenceSet {
    /// Every image of the data set, in pixel features.
    pub(crate) fn of(dataset: &dyn Dataset, digest: &str) -> Result<Self> {
        let shape = dataset.shape();
        let extractor = Extractor::pixels(ImageShape {
            channels: u32::try_from(shape.c)?,
            height: u32::try_from(shape.h)?,
            width: u32::try_from(shape.w)?,
        })?;
        let mut moments = ImageMoments::new(&extractor, Device::Cpu)?;
        for first in (0..dataset.len()).step_by(REFERENCE_BATCH) {
            let n = REFERENCE_BATCH.min(dataset.len() - first);
            moments.push(&extractor, &real_images(dataset, first, n)?)?;
        }
        let digest = format!("sha256:{digest}").parse().map_err(anyhow::Error::msg)?;
        let description = format!("{}, all {} images", dataset.name(), dataset.len());
        Ok(Self { extractor, moments, identity: Reference { digest, description } })
    }
}

/// Images `first..first + n` of a data set, u8 `[n, C, H, W]`.
pub(crate) fn real_images(dataset: &dyn Dataset, first: usize, n: usize) -> Result<Tensor> {
    let shape = dataset.shape();
    let mut bytes = vec![0u8; n * shape.n_values()];
    for (k, row) in bytes.chunks_mut(shape.n_values()).enumerate() {
        dataset.read(first + k, row)?;
    }
    let size = [n as i64, shape.c as i64, shape.h as i64, shape.w as i64];
    Ok(Tensor::f_from_slice(&bytes)?.f_view(size)?)
}

/// The levels at some indices of a grid.
pub(crate) fn visited(grid: &NoiseGrid, visits: &[usize]) -> Result<NoiseGrid> {
    if visits.iter().any(|&i| i > grid.steps()) {
        bail!("the model visits index {:?} of a grid of {} steps", visits.last(), grid.steps());
    }
    Ok(NoiseGrid::new(visits.iter().map(|&i| grid.level(i)).collect())?)
}

/// A generator's images of `seeds` as 8-bit batches, with a progress bar.
pub(crate) fn generate(
    generator: &Generator,
    seeds: Seeds,
    batch: usize,
    class: Option<i64>,
    quantisation: Quantisation,
    (what, bars, stop): (&str, &MultiProgress, &AtomicBool),
    sink: &mut dyn FnMut(&Tensor) -> Result<()>,
) -> Result<u64> {
    let bar = bars.add(ProgressBar::new(seeds.count)).with_message(what.to_owned());
    bar.set_style(indicatif::ProgressStyle::with_template(
        "{msg} [{bar:30}] {pos}/{len} images, {eta} left",
    )?);
    let mut nfe = 0;
    let mut keep = |s: Sampled| -> Result<()> {
        if stop.load(Ordering::Relaxed) {
            bail!(Stopped);
        }
        nfe = s.nfe;
        let n = s.x0.size()[0] as u64;
        sink(&quantisation.apply(&s.x0.f_to_device(Device::Cpu)?)?)?;
        bar.inc(n);
        Ok(())
    };
    generator.stream(seeds.first..seeds.first + seeds.count, batch, class, &mut keep)?;
    bar.finish_and_clear();
    Ok(nfe)
}

/// The process was asked to stop while images were generated.
#[derive(Debug)]
pub(crate) struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped during evaluation; the same command continues")
    }
}

impl std::error::Error for Stopped {}

/// What is measured.
pub(crate) struct Subject<'a> {
    pub(crate) what: &'a str,
    pub(crate) generator: Generator<'a>,
    pub(crate) weights: Weights,
    pub(crate) digest: Digest,
}

/// The Frechet distance of a model's images from the reference, with its record; also the first images for a grid.
pub(crate) fn measure(
    subject: &Subject,
    reference: &ReferenceSet,
    config: &EvaluationConfig,
    bars: &MultiProgress,
    stop: &AtomicBool,
) -> Result<(Record, Tensor)> {
    let seeds = Seeds { first: config.first_seed, count: config.samples };
    let mut moments = ImageMoments::new(&reference.extractor, Device::Cpu)?;
    let mut shown: Vec<Tensor> = Vec::new();
    let steps = subject.generator.grid.steps();
    let what = format!("{} at {steps} steps", subject.what);
    let nfe = generate(
        &subject.generator,
        seeds,
        config.batch,
        None,
        config.quantisation,
        (&what, bars, stop),
        &mut |images| {
            let have: i64 = shown.iter().map(|t| t.size()[0]).sum();
            let want = (config.grid as i64 - have).clamp(0, images.size()[0]);
            if want > 0 {
                shown.push(images.f_narrow(0, 0, want)?);
            }
            Ok(moments.push(&reference.extractor, images)?)
        },
    )?;
    let record = Record {
        score: moments.frechet(&reference.moments)?,
        reference: reference.identity.clone(),
        generated: Generated::Model {
            digest: subject.digest.clone(),
            weights: subject.weights,
            seeds,
            sampling_steps: steps as u32,
            nfe: nfe as u32,
            kind: ComputeKind::F32,
            quantisation: config.quantisation,
        },
        program: Program {
            version: env!("CARGO_PKG_VERSION").into(),
            device: format!("{:?}", subject.generator.flat.device()).to_lowercase(),
        },
    };
    Ok((record, Tensor::f_cat(&shown, 0)?))
}
