//! Several processes train one model: they make the run of one, stop and resume together, and say which of them is gone.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod program;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use program::{brief, fail, json, log, model, succeed};
use serde_json::Value;

/// The brief run in two micro-batches a step, so that two workers add up the same two gradients as one: to the same bytes.
fn run(runs: &Path) -> Command {
    let mut command = brief(runs);
    command.args(["--set=training.batch=8", "--set=training.micro_batch=4", "--set=evaluation.batch=2"]);
    command.args(["--set=evaluation.samples=9", "--set=teacher.samples=240", "--set=distill.samples=480"]);
    for variable in ["RANK", "WORLD_SIZE", "SLURM_NTASKS", "SLURM_PROCID"] {
        command.env_remove(variable);
    }
    command
}

/// The same by two workers.
fn by_two(runs: &Path) -> Command {
    let mut command = run(runs);
    command.args(["--workers", "2"]);
    command
}

/// The same, so long that it can be interrupted.
fn long(mut command: Command) -> Command {
    command.arg("--set=teacher.samples=80000");
    command
}

/// Worker `rank` of two, which meet at this port of the loopback.
fn worker(runs: &Path, rank: usize, port: u16) -> Command {
    let mut command = run(runs);
    command.env("RANK", rank.to_string()).env("WORLD_SIZE", "2").env("MASTER_ADDR", "127.0.0.1");
    command.env("MASTER_PORT", port.to_string());
    command
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The log of the run in `runs`, but for how fast it was.
fn metrics(runs: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(runs.join("tiny/metrics.jsonl")).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        assert!(line.as_object_mut().unwrap().remove("samples_per_second").is_some());
    }
    lines
}

/// Lines of the log of the run in `runs`.
fn lines(runs: &Path) -> usize {
    std::fs::read_to_string(runs.join("tiny/metrics.jsonl")).map_or(0, |text| text.lines().count())
}

/// The log of the run in `runs` before its process was started: how long it was, and where it is.
struct Before<'a> {
    runs: &'a Path,
    lines: usize,
}

impl<'a> Before<'a> {
    fn of(runs: &'a Path) -> Self {
        Self { runs, lines: lines(runs) }
    }

    fn is_over(&self) -> bool {
        lines(self.runs) > self.lines
    }
}

/// Workers that a process has started, by rank, once they train.
fn workers_of(parent: &Child, before: &Before) -> Vec<u32> {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        assert!(Instant::now() < deadline, "the workers never train");
        std::thread::sleep(Duration::from_millis(20));
        if !before.is_over() {
            continue;
        }
        let mut found: Vec<(String, u32)> = descendants(parent.id())
            .into_iter()
            .filter_map(|pid| {
                let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
                let text = String::from_utf8_lossy(&environment).into_owned();
                let rank = text.split('\0').find(|variable| variable.starts_with("RANK="))?.to_owned();
                Some((rank, pid))
            })
            .collect();
        found.sort();
        if found.len() == 2 {
            return found.into_iter().map(|(_, pid)| pid).collect();
        }
    }
}

fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return found };
    for task in tasks {
        let children = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().map(|child| child.parse().unwrap()) {
            found.push(child);
            found.extend(descendants(child));
        }
    }
    found
}

fn send(signal: &str, pid: u32) {
    assert!(Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap().success());
}

/// Starts workers, kills the one of a rank, and waits for the others, which must not take long.
fn killed(mut command: Command, runs: &Path, rank: usize) -> Output {
    let before = Before::of(runs);
    let child = command.spawn().unwrap();
    send("KILL", workers_of(&child, &before)[rank]);
    let began = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(!output.status.success() && !log(&output).contains("panicked"), "{}", log(&output));
    output
}

#[test]
fn two_workers_make_the_run_of_one() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let measured = |mut command: Command| {
        command.args(["--set=evaluation.every=160", "--set=evaluation.every_samples=5"]);
        command
    };
    succeed(measured(run(one.path())));
    let log = succeed(measured(by_two(two.path())));
    assert!(log.contains("2 workers, 2 on this machine") && !log.contains("WARN"), "{log}");
    assert!(model(one.path()) == model(two.path()), "the model has other bytes");
    assert_eq!(metrics(one.path()), metrics(two.path()));
    let read = |runs: &Path, name: &str| std::fs::read_to_string(runs.join("tiny").join(name)).unwrap();
    for name in ["results.json", "evaluations.jsonl"] {
        assert_eq!(read(one.path(), name), read(two.path(), name), "{name}");
    }
    for name in ["samples/student.png", "samples/teacher.png", "teacher.safetensors"] {
        let bytes = |runs: &Path| std::fs::read(runs.join("tiny").join(name)).unwrap();
        assert!(bytes(one.path()) == bytes(two.path()), "{name}");
    }
    assert_eq!(json(&two.path().join("tiny/run.json"))["workers"], 2);
    // The same command has nothing left to do.
    succeed(measured(by_two(two.path())));
    assert_eq!(read(one.path(), "results.json"), read(two.path(), "results.json"));
}

#[test]
fn a_worker_that_is_killed_is_named_and_one_process_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    for rank in [1, 0] {
        let told = log(&killed(long(by_two(dir.path())), dir.path(), rank));
        assert!(
            told.contains(&format!("the worker of rank {rank} was killed by signal 9 (SIGKILL)")),
            "{told}"
        );
        assert!(told.contains(&format!("rank {rank} is gone: no sign of life since")), "{told}");
        let errors = told.lines().filter(|line| line.contains("ERROR")).count();
        assert_eq!(errors, 2, "the launcher's and the other worker's:\n{told}");
        if rank == 1 {
            assert!(told.contains("the state before this step is kept in"), "{told}");
        }
    }
    stops_and_goes_on(dir.path());
}

/// Goes on with one process, which finds a checkpoint, and stops.
fn stops_and_goes_on(runs: &Path) {
    let before = Before::of(runs);
    let output = program::terminate(long(run(runs)), || before.is_over());
    assert!(log(&output).contains("continuing from"), "{}", log(&output));
    assert_eq!(output.status.code(), Some(130), "{}", log(&output));
}

/// `torchrun` of the Python with the packages; `None` without one.
fn torchrun(command: &Command) -> Option<Command> {
    let Some(python) = std::env::var_os("FEWSTEP_PYTHON").filter(|found| !found.is_empty()) else {
        println!("FEWSTEP_PYTHON names no Python with torch: nothing is started by torchrun");
        return None;
    };
    let mut all = Command::new(python);
    all.args(["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]);
    all.arg(command.get_program()).args(command.get_args());
    all.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(all)
}

#[test]
fn torchrun_starts_workers_too() {
    let dir = tempfile::tempdir().unwrap();
    let Some(command) = torchrun(&long(run(dir.path()))) else { return };
    let told = log(&killed(command, dir.path(), 1));
    assert!(told.contains("rank 1 is gone: no sign of life since"), "{told}");
    stops_and_goes_on(dir.path());

    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    succeed(run(one.path()));
    succeed(torchrun(&run(two.path())).unwrap());
    assert!(model(one.path()) == model(two.path()), "the model has other bytes");
}

#[test]
fn slurm_starts_workers_too() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // The port that workers meet at follows from the job's number.
    let job = std::process::id().to_string();
    let task = |rank: usize| {
        let mut command = run(two.path());
        let rank = rank.to_string();
        for (variable, value) in [
            ("SLURM_PROCID", rank.as_str()),
            ("SLURM_LOCALID", rank.as_str()),
            ("SLURM_NTASKS", "2"),
            ("SLURM_TASKS_PER_NODE", "2"),
            ("SLURM_JOB_NODELIST", "localhost"),
            ("SLURM_JOB_ID", job.as_str()),
        ] {
            command.env(variable, value);
        }
        command
    };
    let other = task(1).spawn().unwrap();
    let told = succeed(task(0));
    assert!(told.contains("2 workers, 2 on this machine"), "{told}");
    let output = other.wait_with_output().unwrap();
    assert!(output.status.success() && log(&output).is_empty(), "{}", log(&output));
    succeed(run(one.path()));
    assert!(model(one.path()) == model(two.path()), "the model has other bytes");
}

#[test]
fn a_worker_that_hangs_is_named_after_the_reply_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let hurried = |rank: usize| {
        let mut command = long(worker(dir.path(), rank, port));
        command.args(["--reply-timeout", "2"]);
        command
    };
    let before = Before::of(dir.path());
    let (first, mut other) = (hurried(0).spawn().unwrap(), hurried(1).spawn().unwrap());
    while !before.is_over() {
        std::thread::sleep(Duration::from_millis(20));
    }
    send("STOP", other.id());
    let output = first.wait_with_output().unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
    let told = log(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("rank 1 is gone: no sign of life since all-reduce failed (Timed out"), "{told}");
}

#[test]
fn one_worker_that_is_asked_stops_all_and_two_go_on_to_the_same_bytes() {
    let whole = tempfile::tempdir().unwrap();
    let with = |mut command: Command| {
        command.arg("--set=teacher.samples=2400");
        command
    };
    succeed(with(by_two(whole.path())));
    let dir = tempfile::tempdir().unwrap();
    for rank in [1, 0] {
        let before = Before::of(dir.path());
        let child = with(by_two(dir.path())).spawn().unwrap();
        send("TERM", workers_of(&child, &before)[rank]);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", log(&output));
        assert!(log(&output).contains("the same command continues"), "{}", log(&output));
    }
    succeed(with(by_two(dir.path())));
    assert!(model(dir.path()) == model(whole.path()), "the model has other bytes");
    assert_eq!(metrics(dir.path()), metrics(whole.path()));
}

#[test]
fn workers_that_begin_with_something_else_are_refused_by_all() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    for (set, part) in [("--set=seed=7", "config"), ("--set=evaluation.grid=5", "evaluation")] {
        let mut other = worker(dir.path(), 1, port);
        other.arg(set);
        let other = other.spawn().unwrap();
        let expected = format!("rank 1 has another {part} than rank 0: digest ");
        fail(worker(dir.path(), 0, port), &[&expected]);
        let output = other.wait_with_output().unwrap();
        assert!(log(&output).contains(&expected) && log(&output).contains("[rank 1]"), "{}", log(&output));
    }
    assert!(!dir.path().join("tiny").exists(), "nothing was written");
    // What only one of them finds wrong is quoted by the other.
    let mut other = worker(dir.path(), 1, port);
    other.arg("--set=no.such.key=1");
    let other = other.spawn().unwrap();
    fail(worker(dir.path(), 0, port), &["rank 1 stopped: ", "no.such"]);
    assert!(!other.wait_with_output().unwrap().status.success());
}

#[test]
fn workers_that_never_come_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    for (rank, parts) in [
        (
            0,
            vec![format!(
                "1 of 2 workers came to 127.0.0.1:{port} within 1 s (join timeout); rank 1 did not"
            )],
        ),
        (
            1,
            vec![format!("rank 1 found no store to meet the other worker at on 127.0.0.1:{port} within 1 s")],
        ),
    ] {
        let mut alone = worker(dir.path(), rank, port);
        alone.args(["--join-timeout", "1"]);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        fail(alone, &parts);
    }
}

#[test]
fn more_workers_than_micro_batches_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = by_two(dir.path());
    command.args(["--set=training.micro_batch=8"]);
    let output = command.output().unwrap();
    let told = log(&output);
    assert!(!output.status.success());
    let expected =
        "training.micro_batch: 2 workers need a micro-batch each, but batch = 8 with micro_batch = 8 makes 1";
    assert!(told.contains(expected), "{told}");
    assert!(!dir.path().join("tiny").exists(), "nothing was written");
    // What is wrong with a config is said once, before anything is started.
    let mut wrong = by_two(dir.path());
    wrong.arg("--set=evaluation.samples=1");
    fail(wrong, &["evaluation.samples: must be at least 2"]);
    let mut other = run(dir.path());
    other.args(["--workers", "3"]).env("RANK", "0").env("WORLD_SIZE", "2");
    other.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", "1");
    fail(other, &["--workers 3: this process was started as one of 2"]);
}
