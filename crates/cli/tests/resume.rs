//! The real program, killed at any moment, ends in the same bytes as when it is left alone.
#![allow(missing_docs, clippy::unwrap_used)]

mod program;

use std::time::{Instant, SystemTime};

use program::{fail, log, model, snapshot, succeed, terminate, train};

/// A number that differs from run to run of the test; it is printed, and delays are made of it.
fn entropy() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos().into()
}

#[test]
fn a_run_killed_at_random_moments_ends_in_the_same_bytes() {
    let whole = tempfile::tempdir().unwrap();
    let started = Instant::now();
    succeed(train(whole.path()));
    let length = started.elapsed();
    let want = model(whole.path());

    let pieces = tempfile::tempdir().unwrap();
    let mut random = entropy();
    let (mut kills, mut resumed) = (0, 0);
    println!("a whole run takes {length:?}; entropy {random}");
    while kills < 6 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // From the first milliseconds to most of a whole run's length.
        let delay = length.mul_f64(0.02 + 0.7 * (random >> 40) as f64 / (1u64 << 24) as f64);
        let mut child = train(pieces.path()).spawn().unwrap();
        std::thread::sleep(delay);
        let ended = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        resumed += u32::from(log(&output).contains("continuing from"));
        if ended {
            assert!(output.status.success(), "{}", log(&output));
            break;
        }
        kills += 1;
        println!("killed after {delay:?}");
    }
    assert!(kills > 0);
    succeed(train(pieces.path()));
    assert!(model(pieces.path()) == want, "after {kills} kills and {resumed} resumes the bytes differ");
    // The log of metrics reads as if nothing had happened: every step once, in order.
    let read = |runs: &std::path::Path| {
        let text = std::fs::read_to_string(runs.join("tiny/metrics.jsonl")).unwrap();
        let line = |l: &str| {
            let v: serde_json::Value = serde_json::from_str(l).unwrap();
            (
                v["stage"].as_str().unwrap().to_owned(),
                v["step"].as_u64().unwrap(),
                v["samples"].as_u64().unwrap(),
            )
        };
        text.lines().map(line).collect::<Vec<_>>()
    };
    assert_eq!(read(pieces.path()), read(whole.path()));
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
