//! Work in pieces: spread over the current rayon pool when libtorch itself runs on one thread, and otherwise
//! one piece after another, each on all of libtorch's threads.

use crate::error::{Error, Result};

/// Pieces that are alive at once, for work that holds several large matrices.
pub(crate) const LARGE: usize = 8;

/// The results of `run` for every job in the jobs' order, without gradients, at most `at_once` jobs at a time.
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
