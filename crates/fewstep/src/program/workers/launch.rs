//! `--workers N`: the program starts N copies of itself on this machine and keeps the store that they meet at. It hands
//! signals on, and when a worker dies, it says which one and how, and ends the others.

use std::env;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fewstep::torch::StoreHost;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::program::signals::{STOPPED, hangups_count};

/// Time between two looks at the workers.
const LOOK: Duration = Duration::from_millis(20);
/// After a worker died, the others have so long to end by themselves, then so long again after they were asked twice.
const GRACE: Duration = Duration::from_secs(20);

/// One worker.
struct Worker {
    rank: usize,
    child: Child,
    ended: Option<ExitStatus>,
}

/// Starts this command as `size` workers, and waits for them.
///
/// # Errors
/// A worker cannot be started, or this process cannot listen.
pub(crate) fn launch(size: usize) -> Result<ExitCode> {
    let store = StoreHost::start()?;
    let mut asked = vec![SIGINT, SIGTERM];
    if hangups_count() {
        asked.push(SIGHUP);
    }
    let mut signals = Signals::new(asked).context("listening for signals")?;
    let mut workers = Vec::new();
    for rank in 0..size {
        match start(rank, size, store.port()) {
            Ok(child) => workers.push(Worker { rank, child, ended: None }),
            Err(e) => {
                end(&mut workers);
                return Err(e);
            }
        }
    }
    let pids: Vec<String> = workers.iter().map(|worker| worker.child.id().to_string()).collect();
    tracing::info!("started {size} workers, processes {}", pids.join(" "));
    let mut died: Option<Instant> = None;
    let (mut asked_again, mut told) = (false, false);
    loop {
        for signal in signals.pending() {
            told = true;
            tell(&workers, Signal::from_named_raw(signal).unwrap_or(Signal::TERM));
        }
        for i in 0..workers.len() {
            let newly = ended(&mut workers[i])?;
            let Some(how) = newly.and_then(|status| death(workers[i].rank, status, told)) else { continue };
            if died.is_none() {
                // One that ends with a code has said why.
                match newly.and_then(|status| status.code()) {
                    Some(_) => tracing::warn!("{how}; the other workers are ended"),
                    None => tracing::error!("{how}; the other workers are ended"),
                }
                died = Some(Instant::now());
                tell(&workers, Signal::TERM);
            }
        }
        if workers.iter().all(|worker| worker.ended.is_some()) {
            return Ok(code(&workers, told));
        }
        match died.map(|since| since.elapsed()) {
            Some(since) if since > 2 * GRACE => end(&mut workers),
            Some(since) if since > GRACE && !asked_again => {
                asked_again = true;
                tell(&workers, Signal::TERM);
            }
            _ => {}
        }
        std::thread::sleep(LOOK);
    }
}

fn start(rank: usize, size: usize, port: u16) -> Result<Child> {
    let program = env::current_exe().context("where this program is")?;
    Command::new(&program)
        .args(env::args_os().skip(1))
        .env("RANK", rank.to_string())
        .env("WORLD_SIZE", size.to_string())
        .env("LOCAL_RANK", rank.to_string())
        .env("LOCAL_WORLD_SIZE", size.to_string())
        .env("MASTER_ADDR", "127.0.0.1")
        .env("MASTER_PORT", port.to_string())
        .env("TORCHELASTIC_USE_AGENT_STORE", "True")
        .env_remove("TORCHELASTIC_RUN_ID")
        .env_remove("TORCHELASTIC_RESTART_COUNT")
        .stdin(Stdio::null())
        // In a group of its own: a terminal's Ctrl-C reaches it once, through this process.
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting worker {rank}: {}", program.display()))
}

/// How a worker ended, if it has just done so.
fn ended(worker: &mut Worker) -> Result<Option<ExitStatus>> {
    if worker.ended.is_some() {
        return Ok(None);
    }
    let status = worker.child.try_wait().with_context(|| format!("waiting for worker {}", worker.rank))?;
    worker.ended = status;
    Ok(status)
}

/// In words, how a worker died; `None` if it ended as it should. One that was `told` a signal before it listened is ended by it.
fn death(rank: usize, status: ExitStatus, told: bool) -> Option<String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) if code == i32::from(STOPPED) => None,
        (Some(code), _) => Some(format!("the worker of rank {rank} ended with exit code {code}")),
        (None, Some(SIGINT | SIGTERM | SIGHUP)) if told => None,
        (None, Some(signal)) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("unknown");
            Some(format!("the worker of rank {rank} was killed by signal {signal} ({name})"))
        }
        (None, None) => Some(format!("the worker of rank {rank} ended: {status}")),
    }
}

fn tell(workers: &[Worker], signal: Signal) {
    for worker in workers.iter().filter(|worker| worker.ended.is_none()) {
        let pid = i32::try_from(worker.child.id()).ok().and_then(Pid::from_raw);
        if let Some(Err(e)) = pid.map(|pid| kill_process(pid, signal)) {
            tracing::warn!("the worker of rank {} could not be sent {signal:?}: {e}", worker.rank);
        }
    }
}

fn end(workers: &mut [Worker]) {
    for worker in workers.iter_mut().filter(|worker| worker.ended.is_none()) {
        // One that has just ended by itself cannot be killed, which is as well.
        let _ = worker.child.kill();
        worker.ended = worker.child.wait().ok();
    }
}

/// The code of all: failed if any did, stopped if any was.
fn code(workers: &[Worker], told: bool) -> ExitCode {
    let ended = || workers.iter().map(|worker| (worker.rank, worker.ended));
    if ended().any(|(rank, status)| status.is_none_or(|status| death(rank, status, told).is_some())) {
        return ExitCode::FAILURE;
    }
    match ended().all(|(_, status)| status.is_some_and(|status| status.success())) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(STOPPED),
    }
}
