//! A worker's share of a step. Whole micro-batches are dealt out as evenly as they go, in the order of the batch; the gradient
//! is one flat tensor and is summed over the workers as such. The losses of the whole batch go before it in a small tensor,
//! and with them whether anybody was asked to stop: so every worker sees the same, and stops after the same step.

use std::ops::Range;

use fewstep_torch::{Tensor, Workers};

use crate::error::{Error, Result};

static ALONE: Workers = Workers::alone();

/// The part of every step's batch that one worker makes and computes.
#[derive(Clone, Debug)]
pub struct Share<'a> {
    workers: &'a Workers,
    batch: usize,
    part: Range<usize>,
}

impl Share<'static> {
    /// All of a batch.
    pub fn whole(batch: usize) -> Self {
        Self { workers: &ALONE, batch, part: 0..batch }
    }
}

impl<'a> Share<'a> {
    /// A worker's share of a batch that is cut into micro-batches.
    ///
    /// # Errors
    /// There are fewer micro-batches than workers.
    pub fn of(workers: &'a Workers, batch: usize, micro_batch: usize) -> Result<Self> {
        let (micro_batch, size) = (micro_batch.max(1), workers.size());
        let passes = batch.div_ceil(micro_batch);
        if passes < size {
            let way_out = match (batch.max(1) - 1) / (size - 1) {
                0 => format!("take a batch of at least {size}"),
                most => format!("take a micro_batch of at most {most}, a larger batch"),
            };
            let problem = format!(
                "{size} workers need a micro-batch each, but batch = {batch} with micro_batch = {micro_batch} makes {passes}: \
                 {way_out}, or fewer workers"
            );
            return Err(Error::Plan { key: "micro_batch", problem });
        }
        let cut = |rank: usize| (rank * passes / size * micro_batch).min(batch);
        let part = cut(workers.rank())..cut(workers.rank() + 1);
        Ok(Self { workers, batch, part })
    }

    /// Images of the whole batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Positions in the batch that this worker has.
    pub fn part(&self) -> Range<usize> {
        self.part.clone()
    }

    /// The workers.
    pub fn workers(&self) -> &'a Workers {
        self.workers
    }

    /// Sums the gradient over all workers, in place. Gives the losses of the whole batch, and whether any worker says `stop`.
    pub(crate) fn reduce(&self, gradient: &Tensor, losses: Vec<f64>, stop: bool) -> Result<(Vec<f64>, bool)> {
        if self.workers.is_alone() {
            return Ok((losses, stop));
        }
        let mut all = vec![0.0; self.part.start];
        all.extend(losses);
        all.resize(self.batch, 0.0);
        all.push(f64::from(u8::from(stop)));
        let small = Tensor::f_from_slice(&all)?;
        self.workers.all_reduce(&small)?;
        self.workers.all_reduce(gradient)?;
        let mut all = Vec::<f64>::try_from(small)?;
        let stop = all.pop().is_some_and(|count| count > 0.0);
        Ok((all, stop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_worker_has_all_and_too_few_passes_are_refused() {
        let alone = Workers::alone();
        assert_eq!(Share::of(&alone, 10, 4).unwrap().part(), 0..10);
        assert_eq!(Share::of(&alone, 3, 64).unwrap().part(), 0..3);
        assert_eq!(Share::whole(7).part(), 0..7);
    }
}
