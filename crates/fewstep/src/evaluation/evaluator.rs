//! Everything that measuring needs, made once: settings, extractor, reference.

use std::sync::Arc;

use anyhow::Result;
use fewstep_data::Dataset;
use fewstep_eval::{
    Extractor, Generated, GeneratedSide, Metric, Program, Quantisation, Record, Reference, Score, Seeds,
};
use fewstep_samplers::LabelRule;
use fewstep_torch::{Device, Tensor};

use super::evenly::Sample;
use super::generate::{Request, generate};
use super::reference::{ReferenceSet, Yardstick, real_images};
use super::subject::Subject;
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
        let nfe = generate(&model, request, &what, self.session, &mut |images| {
            let have: i64 = shown.iter().map(|t| t.size()[0]).sum();
            let want = (show as i64 - have).clamp(0, images.size()[0]);
            if want > 0 {
                shown.push(images.f_narrow(0, 0, want)?);
            }
            collected.as_mut().map_or(Ok(()), |c| c.push(images))
        })?;
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
        let records = self.records(collected, &generated, flat.device())?;
        Ok(Outcome { steps, records, shown })
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
}
