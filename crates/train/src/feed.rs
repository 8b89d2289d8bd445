//! The batches of a stage where objectives compute.
//!
//! On a GPU they come from pinned memory, and the copy of the next one is begun before a step: it needs neither the CPU nor
//! an answer from the GPU, and goes on while the CPU prepares the step. Images and noise travel in f32, and become f64 there.

use fewstep_distill::Batch;
use fewstep_models::check_labels;
use fewstep_torch::Device;

use crate::error::Result;
use crate::prefetch::Prefetch;

/// Brings batches to the device, in order.
#[derive(Debug)]
pub(crate) struct Feed {
    batches: Prefetch,
    device: Device,
    /// Classes of the networks that are shown the labels.
    classes: [i64; 2],
    /// The next batch, or why there is none: an error counts when its batch is asked for.
    ahead: Option<Result<Batch>>,
}

impl Feed {
    pub(crate) fn new(batches: Prefetch, device: Device, classes: [i64; 2]) -> Self {
        Self { batches, device, classes, ahead: None }
    }

    /// The next batch. `more` says whether another one will be asked for.
    pub(crate) fn next_batch(&mut self, more: bool) -> Result<Batch> {
        self.next_with(more && matches!(self.device, Device::Cuda(_)))
    }

    fn next_with(&mut self, ahead: bool) -> Result<Batch> {
        let batch = match self.ahead.take() {
            Some(batch) => batch,
            None => self.brought(),
        }?;
        self.ahead = ahead.then(|| self.brought());
        Ok(batch)
    }

    /// Labels are looked at before they go: on a device nothing waits for them.
    fn brought(&mut self) -> Result<Batch> {
        let batch = self.batches.next_batch()?;
        if let Some(labels) = &batch.labels {
            for n_classes in self.classes {
                check_labels(labels, n_classes).map_err(fewstep_distill::Error::from)?;
            }
        }
        Ok(batch.on(self.device)?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fewstep_data::{Dataset, digits};

    use super::*;
    use crate::loader::{DrawConfig, make_batch};

    #[test]
    fn ahead_or_not_the_batches_are_the_same_and_an_error_waits_for_its_turn() {
        let data: Arc<dyn Dataset> = Arc::new(digits().unwrap());
        let draws = DrawConfig { seed: 3, stage: 1, flip: true };
        let order = draws.order(&*data).unwrap();
        for ahead in [false, true] {
            let batches = Prefetch::start(Arc::clone(&data), draws, 10, 7, 1).unwrap();
            let mut feed = Feed::new(batches, Device::Cpu, [0; 2]);
            for k in 0..4 {
                let got = feed.next_with(ahead).unwrap();
                let want = make_batch(&*data, &order, &draws, 7 + 10 * k, 10).unwrap();
                let want = want.on(Device::Cpu).unwrap();
                assert!(got.x0.equal(&want.x0) && got.noise.equal(&want.noise) && got.draws == want.draws);
                assert_eq!(feed.ahead.is_some(), ahead);
            }
        }
        let last = Prefetch::start(data, draws, 10, u64::MAX - 15, 1).unwrap();
        let mut feed = Feed::new(last, Device::Cpu, [0; 2]);
        assert!(feed.next_with(true).is_ok() && feed.next_with(true).is_err());
    }
}
