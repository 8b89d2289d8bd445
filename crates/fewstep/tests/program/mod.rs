//! The real program on a tiny run: seconds from start to end.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)] // each test file takes what it needs

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use fewstep_formats::{NamedArray, write_npz};

/// Arguments of a run that is small but whole: teacher, two phases, evaluation.
pub const TINY: &[&str] = &[
    "--set=name=tiny",
    "--set=model.network.channels=8",
    "--set=model.network.n_res_blocks=1",
    "--set=model.network.embedding_channels=16",
    "--set=training.batch=16",
    "--set=training.micro_batch=8",
    "--set=training.checkpoint_every=64",
    "--set=training.log_every=4",
    "--set=teacher.samples=640",
    "--set=distill.samples=1280",
    "--set=distill.schedule=[16, 4, 1]",
    "--set=evaluation.samples=70",
    "--set=evaluation.teacher_steps=[1, 16]",
    "--set=evaluation.grid=9",
];

/// What makes the tiny run a brief one, of a second: for tests that start it many times.
pub const BRIEF: &[&str] = &[
    "--set=model.network.channel_mult=[1]",
    "--set=model.network.attention_resolutions=[8]",
    "--set=training.batch=4",
    "--set=training.micro_batch=4",
    // Neither divides the other: checkpoints fall between two lines of the log.
    "--set=training.checkpoint_every=48",
    "--set=training.log_every=7",
    "--set=teacher.samples=120",
    "--set=distill.samples=240",
    "--set=evaluation.samples=4",
    "--set=evaluation.grid=4",
    "--set=evaluation.teacher_steps=[1]",
];

/// The program, with an environment that no user setting reaches.
pub fn fewstep() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fewstep"));
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("FEWSTEP__") {
            command.env_remove(key);
        }
    }
    command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The same command with hangups heard: whoever runs the tests may do so with hangups ignored, which the program would
/// inherit and respect.
pub fn hearing_hangups(command: &Command) -> Command {
    let mut heard = Command::new("env");
    heard.arg("--default-signal=HUP").arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => heard.env(key, value),
            None => heard.env_remove(key),
        };
    }
    heard.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    heard
}

/// `fewstep train` of the tiny run in `runs`.
pub fn train(runs: &Path) -> Command {
    let mut command = fewstep();
    command.arg("train").arg("--runs").arg(runs).args(TINY);
    command
}

/// The same, of the brief run.
pub fn brief(runs: &Path) -> Command {
    let mut command = train(runs);
    command.args(BRIEF);
    command
}

/// Grey images of 8x8, so many of each class: an npz, and the setting that makes it a run's data.
pub fn images(path: &Path, counts: &[usize]) -> String {
    let labels: Vec<u8> = (0..).zip(counts).flat_map(|(class, &n)| vec![class; n]).collect();
    let pixels: Vec<u8> = labels
        .iter()
        .enumerate()
        .flat_map(|(i, &class)| (0..64).map(move |j| (i * 7 + j * j * (usize::from(class) + 1)) as u8 / 2))
        .collect();
    let arrays = [
        NamedArray::from_u8("images", &[labels.len(), 1, 8, 8], &pixels).unwrap(),
        NamedArray::from_u8("labels", &[labels.len()], &labels).unwrap(),
    ];
    write_npz(&arrays, std::fs::File::create(path).unwrap()).unwrap();
    format!("--set=data={{kind='images', path={path:?}}}")
}

/// Runs to the end, expects success, and returns what was printed.
pub fn stdout(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", log(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// A file of JSON.
pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The output's log.
pub fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs to the end and expects success.
pub fn succeed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", log(&output));
    log(&output)
}

/// Runs and expects a failure that is one clear error: no panic, and each of `parts` in the error line.
pub fn fail(mut command: Command, parts: &[&str]) -> String {
    let output = command.output().unwrap();
    let log = log(&output);
    assert!(!output.status.success(), "expected a failure:\n{log}");
    assert!(!log.contains("panicked"), "{log}");
    let errors: Vec<&str> = log.lines().filter(|l| l.contains("ERROR") || l.starts_with("error")).collect();
    assert_eq!(errors.len(), 1, "one error line:\n{log}");
    for part in parts {
        assert!(log.contains(part), "`{part}` is missing in:\n{log}");
    }
    log
}

/// A PATH on which every client that fetches is a shell script with this body, and writes its name into `folder/calls` before.
pub fn clients(folder: &Path, body: &str) -> std::ffi::OsString {
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    for name in ["curl", "npm", "apt-get", "dpkg-deb", "python3", "python", "pip3"] {
        let body = format!("echo {name} >>'{}'\n{body}", folder.join("calls").display());
        // A shell writes it: were it open for writing in this process, a child forked by another test could hold it open and
        // it could not be started.
        let script = "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod +x \"$1\"";
        let mut shell = Command::new("sh");
        assert!(shell.args(["-c", script, "sh"]).arg(bin.join(name)).arg(body).status().unwrap().success());
    }
    let others = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&others))).unwrap()
}

/// The clients that were called, in order.
pub fn called(folder: &Path) -> Vec<String> {
    let calls = std::fs::read_to_string(folder.join("calls")).unwrap_or_default();
    calls.lines().map(str::to_owned).collect()
}

/// Sends a signal, such as `TERM`, to a program that was started.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Starts the program, and asks it to stop once it is `ready`.
pub fn terminate(command: Command, ready: impl Fn() -> bool) -> Output {
    interrupt(command, "TERM", ready)
}

/// Starts the program, and sends it a signal once it is `ready`.
pub fn interrupt(mut command: Command, name: &str, ready: impl Fn() -> bool) -> Output {
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ready() {
        assert!(child.try_wait().unwrap().is_none(), "the program ended before it was ready");
        assert!(Instant::now() < deadline, "the program is never ready");
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, name);
    child.wait_with_output().unwrap()
}

/// The finished model of the tiny run in `runs`.
pub fn model(runs: &Path) -> Vec<u8> {
    std::fs::read(runs.join("tiny/model.safetensors")).unwrap()
}

/// Every file below `folder` with its bytes.
pub fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.push((path.clone(), std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
