//! Everything that measuring needs, made once: settings, extractor, reference.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use fewstep_data::Dataset;
use fewstep_eval::{Extractor, Generated, Program, Quantisation, Record, Reference, Score, Seeds};
use fewstep_samplers::{Generator, Sampler};
use fewstep_torch::{Compute, Device, Tensor};
use indicatif::MultiProgress;

use super::generate::{Request, generate};
use super::levels::levels;
use super::metrics::{Collected, MetricChoice};
use super::reference::{ReferenceSet, real_images};
use super::subject::Subject;
use crate::progress::ImageProgress;
use crate::signals::Stopped;

/// Measures models and images against one reference.
pub(crate) struct Evaluator<'a> {
    pub(crate) extractor: &'a Extractor,
    pub(crate) reference: &'a ReferenceSet,
    pub(crate) metrics: &'a [MetricChoice],
    pub(crate) quantisation: Quantisation,
    /// Images a batch.
    pub(crate) batch: usize,
    pub(crate) bars: &'a MultiProgress,
    pub(crate) stop: &'a AtomicBool,
}

/// What came out for one set of images.
pub(crate) struct Outcome {
    pub(crate) steps: usize,
    pub(crate) records: Vec<Record>,
    /// The first images in batches, u8 `[n, C, H, W]`.
    pub(crate) shown: Vec<Tensor>,
}

impl Evaluator<'_> {
    /// A model at `steps` steps, or at its own number; the first `show` images are kept.
    pub(crate) fn model(
        &self,
        subject: &Subject,
        steps: Option<usize>,
        (seeds, class): (Seeds, Option<i64>),
        show: u64,
    ) -> Result<Outcome> {
        let grid = levels(subject.card, steps)?;
        let Subject { card, model, flat, .. } = *subject;
        // A student was taught to take DDIM's step, and its card says so.
        let sampler: Sampler = card.sampler;
        let generator = Generator { model, flat, grid: &grid, clip: card.clip, sampler };
        let mut collected = Collected::new(self.extractor, self.metrics)?;
        let mut shown: Vec<Tensor> = Vec::new();
        let what = format!("{} at {} steps", subject.what, grid.steps());
        let request = Request { seeds, batch: self.batch, class, quantisation: self.quantisation };
        let nfe = generate(&generator, request, (&what, self.bars, self.stop), &mut |images| {
            let have: i64 = shown.iter().map(|t| t.size()[0]).sum();
            let want = (show as i64 - have).clamp(0, images.size()[0]);
            if want > 0 {
                shown.push(images.f_narrow(0, 0, want)?);
            }
            collected.push(self.extractor, images)
        })?;
        let generated = Generated::Model {
            digest: subject.digest.clone(),
            weights: subject.weights(),
            seeds,
            sampler: sampler.to_string(),
            sampling_steps: grid.steps() as u32,
            nfe: nfe as u32,
            kind: Compute::of(flat.kind())?,
            quantisation: self.quantisation,
        };
        let records = self.records(&collected, &generated, flat.device())?;
        Ok(Outcome { steps: grid.steps(), records, shown })
    }

    /// The first `n` images of a set.
    pub(crate) fn images(
        &self,
        images: &dyn Dataset,
        n: u64,
        skipped: u64,
        device: Device,
    ) -> Result<Vec<Record>> {
        let mut collected = Collected::new(self.extractor, self.metrics)?;
        let mut progress = ImageProgress::new(self.bars, images.name(), n)?;
        let n = n as usize;
        for first in (0..n).step_by(self.batch) {
            if self.stop.load(Ordering::Relaxed) {
                bail!(Stopped);
            }
            let count = self.batch.min(n - first);
            collected.push(self.extractor, &real_images(images, first, count)?)?;
            progress.add(count);
        }
        drop(progress);
        let digest = format!("sha256:{}", images.digest()?).parse().map_err(anyhow::Error::msg)?;
        let description = match n == images.len() {
            true => format!("{}, all {n} images", images.name()),
            false => format!("{}, the first {n} of {} images", images.name(), images.len()),
        };
        self.records(&collected, &Generated::Images { digest, description, skipped }, device)
    }

    fn records(&self, collected: &Collected, generated: &Generated, device: Device) -> Result<Vec<Record>> {
        let program = Program {
            version: env!("CARGO_PKG_VERSION").into(),
            device: format!("{device:?}").to_lowercase(),
        };
        let record = |(score, reference): (Score, Reference)| Record {
            score,
            reference,
            generated: generated.clone(),
            program: program.clone(),
        };
        Ok(collected.scores(self.metrics, self.reference)?.into_iter().map(record).collect())
    }
}
