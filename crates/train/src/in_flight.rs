//! How many micro-batches are in flight at once: those that run, and those whose gradients wait for their turn to be added.

use fewstep_torch::Tensor;

/// Micro-batches in flight per thread, where memory is no matter: several, so that on a shared machine a thread that is held
/// up does not hold up the others.
const PER_THREAD: usize = 4;

/// Bytes of the gradients that may wait: those of a large network do not, as a flat gradient is as large as the network.
const WAITING: u64 = 128 << 20;

/// Micro-batches in flight on a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InFlight {
    /// Those that run: one per thread.
    pub(crate) running: usize,
    /// Those that may be done and wait.
    pub(crate) waiting: usize,
}

impl InFlight {
    /// For gradients of the flat student, on the current rayon pool.
    pub(crate) fn of(student: &Tensor) -> Self {
        let bytes = student.numel() * student.kind().elt_size_in_bytes();
        Self::new(rayon::current_num_threads(), bytes as u64)
    }

    /// For gradients of so many bytes each.
    pub(crate) fn new(threads: usize, gradient: u64) -> Self {
        let affordable = usize::try_from(WAITING / gradient.max(1)).unwrap_or(usize::MAX);
        Self { running: threads, waiting: affordable.min((PER_THREAD - 1) * threads) }
    }

    /// All of them.
    pub(crate) fn most(self) -> usize {
        self.running + self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_gradients_do_not_wait() {
        assert_eq!(InFlight::new(2, 4 * 755_009), InFlight { running: 2, waiting: 6 });
        assert_eq!(InFlight::new(2, 4 * 7_660_000), InFlight { running: 2, waiting: 4 });
        assert_eq!(InFlight::new(2, 4 * 60_004_099), InFlight { running: 2, waiting: 0 });
        assert_eq!(InFlight::new(1, 0).most(), 4);
    }
}
