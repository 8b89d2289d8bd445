//! The real program where memory is scarce, and what it says of the memory that it takes.
#![allow(missing_docs, clippy::unwrap_used)]

mod program;

use std::process::{Command, Stdio};

use program::{brief, fail, json, log, succeed, train};

#[test]
fn training_that_does_not_fit_is_an_error_that_names_the_setting() {
    let dir = tempfile::tempdir().unwrap();
    let mut large = train(dir.path());
    large.args(["--threads=2", "--set=training.batch=16000", "--set=training.micro_batch=16000"]);
    // A limit on the address space stands for a small machine. Buffers and batches fit, activations do not.
    let mut limited = Command::new("bash");
    limited
        .args(["-c", r#"ulimit -v 1600000; exec "$0" "$@""#])
        .arg(large.get_program())
        .args(large.get_args());
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = limited.output().unwrap();
    let text = log(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in ["out of memory", "training.micro_batch, which is 16000", "more than is held do not fit"] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    assert!(!text.contains("panicked") && !text.contains("Exception raised"), "{text}");
}

#[test]
fn a_run_says_what_it_held_beside_what_was_counted() {
    let dir = tempfile::tempdir().unwrap();
    let text = succeed(brief(dir.path()));
    let told =
        text.lines().find_map(|line| line.split_once("INFO training held").map(|(_, told)| told)).unwrap();
    assert!(told.contains(" at most; ") && told.ends_with(" counted"), "{told}");
    let page = std::fs::read_to_string(dir.path().join("tiny/report.html")).unwrap();
    assert!(page.contains(told.trim()), "{told}");
    let memory = &json(&dir.path().join("tiny/run.json"))["memory"];
    let (most, counted) = (memory["most_bytes"].as_u64().unwrap(), memory["counted_bytes"].as_u64().unwrap());
    // Nearly all of it is the program itself.
    assert!((0.5..2.0).contains(&(most as f64 / counted as f64)), "{memory}");
    // A plan tells the same count.
    let plan = program::stdout({
        let mut plan = program::fewstep();
        plan.arg("plan").args(program::TINY).args(program::BRIEF);
        plan
    });
    assert!(plan.contains("memory     ") && plan.contains("training.micro_batch"), "{plan}");
    assert!(
        text.contains("tried out on up to 3 images") && plan.contains("tried out on up to 3 images"),
        "{text}"
    );
    // It goes wrong where the plan cannot be followed, and not in a trial before.
    fail(
        {
            let mut wrong = brief(dir.path());
            wrong.args(["--set=name=wrong", "--set=training.micro_batch=0"]);
            wrong
        },
        &["training.micro_batch"],
    );
}
