//! Runs independent jobs: in parallel on the current rayon pool if libtorch uses one thread, otherwise one after
//! another, each on all of libtorch's threads. Results are in the order of the jobs, so that sums over them do not
//! depend on the number of threads.

use crate::error::Result;
use rayon::prelude::*;

/// Jobs at a time, for jobs that each hold several large matrices.
pub(crate) const LARGE: usize = 8;

/// The results of `run` for all jobs, of which at most `at_once` run at a time.
pub(crate) fn in_order<J: Send, T: Send>(
    jobs: impl IntoIterator<Item = J>,
    at_once: usize,
    run: impl Fn(J) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let mut jobs = jobs.into_iter();
    if tch::get_num_threads() != 1 {
        return jobs.map(run).collect();
    }
    let mut done = Vec::new();
    loop {
        let wave: Vec<J> = jobs.by_ref().take(at_once.max(1)).collect();
        if wave.is_empty() {
            return Ok(done);
        }
        let results: Result<Vec<T>> = wave.into_par_iter().map(|job| run_on_worker(job, &run)).collect();
        done.append(&mut results?);
    }
}

fn run_on_worker<J, T>(job: J, run: impl Fn(J) -> Result<T>) -> Result<T> {
    // This call makes libtorch apply its thread count to the current thread; a convolution alone does not.
    let _ = tch::get_num_threads();
    let _no_grad = tch::no_grad_guard();
    run(job)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn results_keep_the_order_and_errors_come_through() {
        for at_once in [1, 3, 100] {
            let squares = in_order(0..20u64, at_once, |n| Ok(n * n)).unwrap();
            assert_eq!(squares, (0..20).map(|n| n * n).collect::<Vec<_>>());
        }
        let error = in_order(0..20u64, 4, |n| match n {
            13 => Err(Error::TooFew { operation: "test", expected: 1, got: n }),
            n => Ok(n),
        });
        assert!(matches!(error, Err(Error::TooFew { got: 13, .. })));
    }
}
