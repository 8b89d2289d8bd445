//! Ordered parallel work on tensors.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rayon::Yield;

/// How long a thread of the pool waits for a result before it looks for work again.
const IDLE: Duration = Duration::from_millis(1);

/// Runs `run` on every job and hands the results to `sink` in the jobs' order, so that what is summed from them does not
/// depend on the number of threads.
///
/// With `spread` the jobs run on the current rayon pool, one thread each. A result goes to `sink`, on the calling thread, as
/// soon as its turn comes, and only then is another job begun: at any time at most `at_once` jobs run or have results that
/// wait for their turn. Without `spread` the jobs run one after another, each on all of libtorch's threads. A job owns its
/// tensors (clones share storage): they can be sent to another thread, but not shared between threads.
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
    if !spread || at_once <= 1 {
        return jobs.try_for_each(|job| sink(run(job)?));
    }
    let run = &run;
    rayon::in_place_scope_fifo(|scope| {
        let (sender, results) = channel();
        let mut turns = Turns { results, early: BTreeMap::new(), begun: 0, next: 0 };
        let mut begin_one = |turns: &mut Turns<_>| {
            let Some(job) = jobs.next() else { return };
            let (number, sender) = (turns.begun, sender.clone());
            turns.begun += 1;
            scope.spawn_fifo(move |_| {
                let result = catch_unwind(AssertUnwindSafe(|| run_on_worker(job, run)));
                // After an error nobody listens any more.
                let _ = sender.send((number, result));
            });
        };
        (0..at_once).for_each(|_| begin_one(&mut turns));
        while let Some(result) = turns.take() {
            sink(result?)?;
            begin_one(&mut turns);
        }
        Ok(())
    })
}

/// Puts results that arrive in any order into the order in which their jobs were begun.
struct Turns<R> {
    results: Receiver<(usize, thread::Result<R>)>,
    /// Those that wait for an earlier one.
    early: BTreeMap<usize, R>,
    begun: usize,
    next: usize,
}

impl<R> Turns<R> {
    /// The result whose turn it is; `None` when all that was begun is done. A job's panic goes on here.
    fn take(&mut self) -> Option<R> {
        if self.next == self.begun {
            return None;
        }
        loop {
            if let Some(result) = self.early.remove(&self.next) {
                self.next += 1;
                return Some(result);
            }
            let (number, result) = self.arrival()?;
            self.early.insert(number, result.unwrap_or_else(|panic| resume_unwind(panic)));
        }
    }

    /// The next result to arrive. A thread of the pool works while it waits: a pool of one would wait for itself.
    fn arrival(&self) -> Option<(usize, thread::Result<R>)> {
        loop {
            if let Ok(result) = self.results.try_recv() {
                return Some(result);
            }
            match rayon::yield_now() {
                None => return self.results.recv().ok(),
                Some(Yield::Executed) => {}
                Some(Yield::Idle) => match self.results.recv_timeout(IDLE) {
                    Ok(result) => return Some(result),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return None,
                },
            }
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
    use std::sync::atomic::{AtomicUsize, Ordering};

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

    /// A job's result, counted while it is alive.
    struct Alive<'a>(&'a AtomicUsize);

    impl Drop for Alive<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn no_more_results_are_alive_than_jobs_may_be_begun_at_once() {
        let (alive, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let run = |n: u64| {
            most.fetch_max(alive.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // The first is late, and the others wait for it.
            thread::sleep(Duration::from_millis(if n == 0 { 30 } else { 1 }));
            Ok::<_, String>(Alive(&alive))
        };
        for inside in [false, true] {
            for threads in [1, 2, 4] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let all = || in_order(true, 3, 0..20, run, |_| Ok::<_, String>(()));
                // A pool of one thread is enough, also where the caller is that thread.
                let done = if inside { pool.install(all) } else { all() };
                done.unwrap();
            }
        }
        assert_eq!(alive.load(Ordering::SeqCst), 0);
        let most = most.load(Ordering::SeqCst);
        assert!((1..=3).contains(&most), "{most}");
    }

    #[test]
    #[should_panic(expected = "job 5")]
    fn a_panic_of_a_job_comes_through() {
        let run = |n: u64| if n == 5 { panic!("job {n}") } else { Ok::<_, String>(n) };
        let _ = in_order(true, 2, 0..20, run, |_| Ok::<_, String>(()));
    }
}
