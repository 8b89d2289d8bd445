//! Ordered parallel work on tensors.

use rayon::prelude::*;

/// Runs `run` on every job and hands the results to `sink` in the jobs' order, so that what is summed from them does not
/// depend on the number of threads.
///
/// With `spread` the jobs run on the current rayon pool, one thread each, at most `at_once` at a time; without it one after
/// another, each on all of libtorch's threads. A job owns its tensors (clones share storage): they can be sent to another
/// thread, but not shared between threads.
///
/// # Errors
/// The first error of a job or of `sink`; later jobs are not begun.
pub fn in_order<J: Send, T: Send, W: Send, E: From<W>>(
    spread: bool,
    at_once: usize,
    jobs: impl IntoIterator<Item = J>,
    run: impl Fn(J) -> Result<T, W> + Sync,
    mut sink: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let mut jobs = jobs.into_iter();
    let at_once = if spread { at_once.max(1) } else { 1 };
    loop {
        let wave: Vec<J> = jobs.by_ref().take(at_once).collect();
        let done: Vec<Result<T, W>> = match wave.len() {
            0 => return Ok(()),
            1 => wave.into_iter().map(&run).collect(),
            _ => wave.into_par_iter().map(|job| run_on_worker(job, &run)).collect(),
        };
        for result in done {
            sink(result?)?;
        }
    }
}

fn run_on_worker<J, R>(job: J, run: impl Fn(J) -> R) -> R {
    // A new thread takes over libtorch's number of threads only when it is asked for it, and not inside a convolution.
    let _ = tch::get_num_threads();
    run(job)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_and_errors_come_through() {
        for (spread, at_once) in [(true, 1), (true, 3), (true, 100), (false, 7)] {
            let mut squares = Vec::new();
            let run = |n: u64| Ok::<_, String>(n * n);
            in_order(spread, at_once, 0..20, run, |n| {
                squares.push(n);
                Ok::<_, String>(())
            })
            .unwrap();
            assert_eq!(squares, (0..20).map(|n| n * n).collect::<Vec<_>>());
        }
        let run = |n: u64| if n == 13 { Err(format!("no {n}")) } else { Ok(n) };
        let mut seen = 0;
        let failed = in_order(true, 4, 0..20, run, |_| {
            seen += 1;
            Ok::<_, String>(())
        });
        assert_eq!((failed, seen), (Err("no 13".to_owned()), 13));
    }
}
