//! Counting of network evaluations.

use std::cell::Cell;

use fewstep_torch::Tensor;

use crate::denoiser::Denoiser;
use crate::error::Result;
use crate::levels::Levels;

/// A denoiser that counts how often it was asked: the number of function evaluations (nfe).
#[derive(Debug)]
pub struct Counted<D> {
    inner: D,
    evaluations: Cell<u64>,
}

impl<D: Denoiser> Counted<D> {
    /// Counts evaluations of `inner` from 0.
    pub fn new(inner: D) -> Self {
        Self { inner, evaluations: Cell::new(0) }
    }

    /// Evaluations so far; a batch counts once.
    pub fn nfe(&self) -> u64 {
        self.evaluations.get()
    }
}

impl<D: Denoiser> Denoiser for Counted<D> {
    fn denoise(&self, x_t: &Tensor, at: &Levels) -> Result<Tensor> {
        self.evaluations.set(self.evaluations.get() + 1);
        self.inner.denoise(x_t, at)
    }
}
