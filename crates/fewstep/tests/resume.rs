//! The real program, killed at any moment, ends in the same bytes as when it is left alone.
#![allow(missing_docs, clippy::unwrap_used)]

mod program;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use program::{
    brief, fail, hearing_hangups, interrupt, log, model, signal, snapshot, succeed, terminate, train,
};
use serde_json::Value;

/// A number from the environment.
fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
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

/// What is random in a test, drawn from a printed seed.
struct Random(u64);

impl Random {
    /// In `[0, 1)`.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64
    }
}

/// Interrupts the run in `runs` by a signal, after `delay`; whether it was still running.
fn interrupted(runs: &Path, name: &str, delay: Duration) -> bool {
    let mut child = hearing_hangups(&brief(runs)).spawn().unwrap();
    std::thread::sleep(delay);
    let ended = child.try_wait().unwrap().is_some();
    if !ended {
        signal(&child, name);
    }
    let output = child.wait_with_output().unwrap();
    // Asked before it listens, a program ends as the system ends it, and asked at its very end it ends well.
    let code = output.status.code();
    assert!(matches!(code, None | Some(0 | 130)), "{name}: {code:?}\n{}", log(&output));
    assert!(!log(&output).contains("panicked"), "{}", log(&output));
    !ended && code != Some(0)
}

/// `FEWSTEP_TEST_INTERRUPTS=25` interrupts so many times by each signal, `FEWSTEP_TEST_SEED` chooses other moments.
#[test]
fn a_run_interrupted_at_random_moments_ends_in_the_same_bytes() {
    let whole = tempfile::tempdir().unwrap();
    let started = Instant::now();
    succeed(brief(whole.path()));
    let length = started.elapsed();
    let (want, lines) = (model(whole.path()), metrics(whole.path()));
    let (seed, often) = (number("FEWSTEP_TEST_SEED", 20_261_126), number("FEWSTEP_TEST_INTERRUPTS", 3));
    println!("seed {seed}, {often} times each; a whole run takes {length:?}");
    for (k, name) in ["KILL", "INT", "TERM", "HUP"].into_iter().enumerate() {
        let mut random = Random(seed.wrapping_add(k as u64));
        let (mut interrupts, mut runs) = (0, 0);
        while interrupts < often {
            let pieces = tempfile::tempdir().unwrap();
            let before = interrupts;
            while interrupts < often {
                // From the first milliseconds to most of a whole run's length.
                let delay = length.mul_f64(0.02 + 0.7 * random.unit());
                if !interrupted(pieces.path(), name, delay) {
                    break;
                }
                interrupts += 1;
            }
            runs += 1;
            assert!(runs < 4 * often + 4, "SIG{name}: a whole run takes longer than the first one did");
            succeed(brief(pieces.path()));
            let n = interrupts - before;
            assert!(model(pieces.path()) == want, "SIG{name}, {n} times: the model has other bytes");
            assert_eq!(metrics(pieces.path()), lines, "SIG{name}, {n} times");
        }
        println!("SIG{name}: {interrupts} interruptions in {runs} runs");
    }
}

#[test]
fn a_line_of_the_log_that_was_begun_is_ended_after_an_interruption() {
    let whole = tempfile::tempdir().unwrap();
    let long = |runs: &Path| {
        let mut command = brief(runs);
        // One line a stage, and a checkpoint only where one is asked for.
        command.args(["--set=training.log_every=30", "--set=training.checkpoint_every=1000000"]);
        command
    };
    succeed(long(whole.path()));
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("tiny/tb");
    let output = interrupt(long(dir.path()), "INT", || {
        std::fs::read_dir(&lock).is_ok_and(|mut events| events.next().is_some())
    });
    assert_eq!(output.status.code(), Some(130), "{}", log(&output));
    succeed(long(dir.path()));
    assert_eq!(metrics(whole.path()).len(), 3);
    assert_eq!(metrics(dir.path()), metrics(whole.path()));
}

#[test]
fn a_terminal_that_is_gone_does_not_cost_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let events = dir.path().join("tiny/metrics.jsonl");
    let ready = || std::fs::metadata(&events).is_ok_and(|m| m.len() > 0);
    // Nobody reads what is logged: every line fails, as on a closed terminal.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = hearing_hangups(&brief(dir.path()));
    command.stderr(writer);
    let output = interrupt(command, "HUP", ready);
    assert_eq!(output.status.code(), Some(130));
    let checkpoints = std::fs::read_dir(dir.path().join("tiny/checkpoints")).unwrap().count();
    assert!(checkpoints > 0);

    // Under `nohup` a hangup is nothing.
    let dir = tempfile::tempdir().unwrap();
    let events = dir.path().join("tiny/metrics.jsonl");
    let run = brief(dir.path());
    let mut command = Command::new("bash");
    command.args(["-c", r#"trap '' HUP; exec "$0" "$@""#]).arg(run.get_program()).args(run.get_args());
    command.stderr(Stdio::piped());
    let output = interrupt(command, "HUP", || std::fs::metadata(&events).is_ok_and(|m| m.len() > 0));
    assert!(output.status.success(), "{}", log(&output));
}

#[test]
fn the_number_of_threads_does_not_change_a_byte() {
    let (one, three) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (dir, threads) in [(&one, "1"), (&three, "3")] {
        let mut command = train(dir.path());
        command.args(["--threads", threads]);
        succeed(command);
    }
    assert!(model(one.path()) == model(three.path()));
}

#[test]
fn sigterm_stops_with_a_checkpoint_and_the_same_command_continues() {
    let whole = tempfile::tempdir().unwrap();
    succeed(train(whole.path()));
    let dir = tempfile::tempdir().unwrap();
    // Until training is under way: the metrics log has a line.
    let metrics = dir.path().join("tiny/metrics.jsonl");
    let output = terminate(train(dir.path()), || std::fs::metadata(&metrics).is_ok_and(|m| m.len() > 0));
    assert_eq!(output.status.code(), Some(130), "{}", log(&output));
    assert!(log(&output).contains("the same command continues"), "{}", log(&output));
    let text = succeed(train(dir.path()));
    assert!(text.contains("continuing from"), "{text}");
    assert!(model(dir.path()) == model(whole.path()));
}

#[test]
fn a_full_disk_loses_nothing() {
    let whole = tempfile::tempdir().unwrap();
    succeed(train(whole.path()));
    let dir = tempfile::tempdir().unwrap();
    // A limit on the size of any file stands for the full disk: a checkpoint is larger than 20 KiB.
    let args = train(dir.path());
    let mut limited = std::process::Command::new("bash");
    limited
        .args(["-c", r#"ulimit -f 20; trap '' XFSZ; exec "$0" "$@""#])
        .arg(args.get_program())
        .args(args.get_args());
    limited.stderr(std::process::Stdio::piped());
    fail(limited, &["checkpoints", "File too large"]);
    let left = snapshot(&dir.path().join("tiny/checkpoints"));
    assert!(
        left.is_empty(),
        "no half-written checkpoint: {:?}",
        left.iter().map(|f| &f.0).collect::<Vec<_>>()
    );
    succeed(train(dir.path()));
    assert!(model(dir.path()) == model(whole.path()));
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    succeed(train(dir.path()));
    let want = model(dir.path());
    let mut found: Vec<_> =
        std::fs::read_dir(dir.path().join("tiny/checkpoints")).unwrap().map(|e| e.unwrap().path()).collect();
    found.sort();
    assert_eq!(found.len(), 3, "the last three are kept");
    let state = found[2].join("state.safetensors");
    let mut bytes = std::fs::read(&state).unwrap();
    let at = bytes.len() - 100;
    bytes[at] ^= 0x10;
    std::fs::write(&state, bytes).unwrap();
    std::fs::remove_file(dir.path().join("tiny/model.safetensors")).unwrap();
    let text = succeed(train(dir.path()));
    assert!(text.contains("passed over a damaged checkpoint") && text.contains("sha256"), "{text}");
    assert!(model(dir.path()) == want);
}
