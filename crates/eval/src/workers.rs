//! Runs independent jobs: in parallel on the current rayon pool if libtorch uses one thread, otherwise one after
//! another, each on all of libtorch's threads. Results are in the order of the jobs, so that sums over them do not
//! depend on the number of threads.

use crate::error::{Error, Result};

/// Jobs at a time, for jobs that each hold several large matrices.
pub(crate) const LARGE: usize = 8;

/// The results of `run` for all jobs, of which at most `at_once` run at a time.
pub(crate) fn in_order<J: Send, T: Send>(
    jobs: impl IntoIterator<Item = J>,
    at_once: usize,
    run: impl Fn(J) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let mut done = Vec::new();
    let run = |job| {
        let _no_grad = fewstep_torch::no_grad();
        run(job)
    };
    fewstep_torch::in_order(tch::get_num_threads() == 1, at_once, jobs, run, |result| {
        done.push(result);
        Ok::<_, Error>(())
    })?;
    Ok(done)
}
