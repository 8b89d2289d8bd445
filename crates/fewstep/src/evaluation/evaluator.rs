//! Everything that measuring needs, made once: settings, extractor, reference.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result};
use fewstep_data::Dataset;
use fewstep_eval::{
    Extractor, Generated, GeneratedSide, Metric, Program, Quantisation, Record, Reference, Score, Seeds,
};
use fewstep_samplers::{LabelRule, Model, Sampled};
use fewstep_torch::{Device, Tensor};

use super::evenly::Sample;
use super::generate::{Request, generate};
use super::reference::{ReferenceSet, Yardstick, real_images};
use super::subject::Subject;
use super::turns::{For, Made, from_first, in_turns};
use crate::session::Session;

/// Measures models and images against one reference.
pub struct Evaluator<'a> {
    /// Without it nothing is measured, and images are only made.
    pub yardstick: Option<&'a Yardstick>,
    /// What can be computed from so many images.
    pub metrics: &'a [&'a dyn Metric],
    /// How samples become 8-bit images.
    pub quantisation: Quantisation,
    /// Images a batch.
    pub batch: usize,
    /// Where progress is shown, and what can stop it.
    pub session: &'a Session,
}

/// What came out for one set of images.
pub struct Outcome {
    /// Number of sampling steps.
    pub steps: usize,
    /// A record per metric.
    pub records: Vec<Record>,
    /// The first images in batches, u8 `[n, C, H, W]`.
    pub shown: Vec<Tensor>,
}

impl<'a> Evaluator<'a> {
    /// One that measures nothing yet: rounds half to even, 64 images per batch.
    pub fn new(session: &'a Session) -> Self {
        Self { yardstick: None, metrics: &[], quantisation: Quantisation::HalfToEven, batch: 64, session }
    }

    /// A model at `steps` steps, or at its own number; the first `show` images are kept.
    ///
    /// # Errors
    /// A number of steps that the model cannot take, the network or a metric fails, or the session is stopped.
    pub fn model(
        &self,
        subject: &Subject,
        steps: Option<usize>,
        seeds: Seeds,
        labels: &LabelRule,
        show: u64,
    ) -> Result<Outcome> {
        let Subject { card, network, flat, compute, .. } = subject;
        let model = card.model(Arc::clone(network), flat.shallow_clone(), steps, *compute)?;
        let steps = model.grid.steps();
        let mut collected = self.nothing_yet()?;
        let mut shown: Vec<Tensor> = Vec::new();
        let what = format!("{} at {steps} steps", subject.what);
        let request = Request { seeds, batch: self.batch, labels, quantisation: self.quantisation };
        let mut keep = |images: &Tensor| -> Result<()> {
            let have: i64 = shown.iter().map(|t| t.size()[0]).sum();
            let want = (show as i64 - have).clamp(0, images.size()[0]);
            if want > 0 {
                shown.push(images.f_narrow(0, 0, want)?);
            }
            Ok(())
        };
        let nfe = if self.session.workers.is_alone() {
            generate(&model, request, &what, self.session, &mut |images| {
                keep(images)?;
                collected.as_mut().map_or(Ok(()), |c| c.push(images))
            })?
        } else {
            let extractor = collected.as_ref().map(|c| c.extractor);
            self.in_shares(&model, request, (&what, show), extractor, &mut |handed| {
                handed.images.as_ref().map_or(Ok(()), &mut keep)?;
                collected.as_mut().map_or(Ok(()), |c| c.push_rows(&handed))
            })?
        };
        let generated = Generated::Model {
            digest: subject.digest.clone(),
            weights: subject.weights(),
            seeds,
            sampler: model.sampler.to_string(),
            sampling_steps: steps as u32,
            nfe: nfe as u32,
            kind: *compute,
            quantisation: self.quantisation,
            making: Some(Box::new(subject.making(&model.grid, labels)?)),
        };
        // Rank 0 has all rows and computes the numbers; the others are told them.
        let workers = &self.session.workers;
        let records = match workers.is_first() {
            true => Some(self.records(collected, &generated, flat.device())?),
            false => None,
        };
        Ok(Outcome { steps, records: from_first(workers, records)?, shown })
    }

    /// The images of a model by all workers. Rank 0's `sink` is given what each batch has, in order: its images, if any of the
    /// first `show` are among them, and its rows. Returns the network evaluations per image.
    fn in_shares(
        &self,
        model: &Model,
        request: Request,
        (what, show): (&str, u64),
        extractor: Option<&Extractor>,
        sink: &mut dyn FnMut(Handed) -> Result<()>,
    ) -> Result<u64> {
        let Request { seeds, batch, labels, quantisation } = request;
        let batch = batch.max(1) as u64;
        let mut progress = self.session.images(what, seeds.count)?;
        let mut nfe = 0;
        let mut make = |batches: Range<u64>| -> Result<Vec<Made>> {
            let seed = |batch_index: u64| seeds.first + (batch_index * batch).min(seeds.count);
            let mut made = Vec::new();
            model.stream(
                seed(batches.start)..seed(batches.end),
                batch as usize,
                labels,
                &mut |s: Sampled| {
                    nfe = s.nfe;
                    let images = quantisation.apply(&s.x0.f_to_device(Device::Cpu)?)?;
                    let begins = (batches.start + made.len() as u64) * batch;
                    let count = extractor.map_or(0, |e| e.n_grey(&images));
                    let rows = extractor.map(|e| e.features(&images)).transpose()?;
                    let rows = rows.map(|rows| rows.f_to_device(Device::Cpu)).transpose()?;
                    let images = (begins < show).then_some(images);
                    let tensors = rows.into_iter().chain(images).collect();
                    made.push(Made { tensors, count });
                    anyhow::Ok(())
                },
            )?;
            Ok(made)
        };
        let mut take = |index: u64, made: Made| -> Result<()> {
            progress.add(batch.min(seeds.count - index * batch) as usize);
            let mut tensors = made.tensors.into_iter();
            let rows = if extractor.is_some() { tensors.next() } else { None };
            sink(Handed { images: tensors.next(), rows, n_grey: made.count })
        };
        let n = (seeds.count.div_ceil(batch), rayon::current_num_threads() as u64);
        in_turns(self.session, n, For::First, &mut make, &mut take)?;
        Ok(nfe)
    }

    /// Images of a set.
    pub fn images(&self, images: &Sample, skipped: u64, device: Device) -> Result<Vec<Record>> {
        let mut collected = self.nothing_yet()?;
        let n = images.len();
        let mut progress = self.session.images(images.name(), n as u64)?;
        for first in (0..n).step_by(self.batch) {
            self.session.check()?;
            let count = self.batch.min(n - first);
            let batch = real_images(images, first, count)?;
            collected.as_mut().map_or(Ok(()), |c| c.push(&batch))?;
            progress.add(count);
        }
        drop(progress);
        let digest = format!("sha256:{}", images.digest()?).parse()?;
        let generated = Generated::Images { digest, description: images.description(), skipped };
        self.records(collected, &generated, device)
    }

    fn nothing_yet(&self) -> Result<Option<Collecting<'_>>> {
        let Some(Yardstick { extractor, reference }) = self.yardstick.filter(|_| !self.metrics.is_empty())
        else {
            return Ok(None);
        };
        let generated = GeneratedSide::new(extractor, self.metrics)?;
        Ok(Some(Collecting { extractor, reference, generated }))
    }

    fn records(
        &self,
        collected: Option<Collecting<'_>>,
        generated: &Generated,
        device: Device,
    ) -> Result<Vec<Record>> {
        let Some(Collecting { reference, generated: side, .. }) = collected else { return Ok(Vec::new()) };
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
        Ok(side.scores(self.metrics, &reference.side()?)?.into_iter().map(record).collect())
    }
}

/// Features of the images so far, and what they are measured by.
struct Collecting<'a> {
    extractor: &'a Extractor,
    reference: &'a ReferenceSet,
    generated: GeneratedSide,
}

impl Collecting<'_> {
    fn push(&mut self, images: &Tensor) -> Result<()> {
        Ok(self.generated.push(self.extractor, images)?)
    }

    /// What `push` would add, extracted elsewhere.
    fn push_rows(&mut self, handed: &Handed) -> Result<()> {
        let rows = handed.rows.as_ref().context("a batch without its features")?;
        Ok(self.generated.push_rows(rows, handed.n_grey)?)
    }
}

/// What a batch of several workers' images comes to.
struct Handed {
    /// The images, where some of them are shown.
    images: Option<Tensor>,
    /// Their features, where anything is measured.
    rows: Option<Tensor>,
    n_grey: u64,
}
