//! `eval-fid` and `reference` of the real program, in pixel features: what they measure, write, compare and refuse.
#![allow(missing_docs, clippy::unwrap_used)]

mod program;

use std::path::Path;
use std::process::Command;

use program::{clients, fail, fewstep, stdout, succeed, train};
use serde_json::Value;

/// `fewstep eval-fid`, with a cache of its own: nothing is found in the user's.
fn eval_fid(dir: &Path) -> Command {
    let mut command = fewstep();
    command.arg("eval-fid").env("FEWSTEP_CACHE", dir.join("cache"));
    command
}

fn records(path: &Path) -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_run_and_its_model_give_the_numbers_of_the_run() {
    let dir = tempfile::tempdir().unwrap();
    succeed(train(dir.path()));
    let run = dir.path().join("tiny");
    let mut command = eval_fid(dir.path());
    command.arg("--run").arg(&run).args(["--metrics", "fid,kid,precision-recall"]);
    let told = stdout(command);
    let measured = records(&run.join("eval-fid.json"));
    let results: Value = serde_json::from_slice(&std::fs::read(run.join("results.json")).unwrap()).unwrap();
    // Student at 1 step, teacher at 1 and 16: four metrics each. The run's own numbers are the Frechet distances.
    assert_eq!(measured.len(), 12);
    assert_eq!(told.lines().count(), 12, "{told}");
    for (ours, theirs) in measured.iter().step_by(4).zip(results["measured"].as_array().unwrap()) {
        assert_eq!(ours["generated"], theirs["record"]["generated"]);
        let value = |r: &Value| r["score"]["value"].as_f64().unwrap();
        // Sums over all rows at once and in batches differ in the last bits.
        assert!((value(ours) - value(&theirs["record"])).abs() < 1e-9);
    }
    assert!(told.contains("precision[pixels]") && told.contains("deviation"), "{told}");

    // The model alone, with the teacher's file: the card says data set, levels and average.
    let mut command = eval_fid(dir.path());
    let teacher = run.join("teacher.safetensors");
    command.arg("--model").arg(&teacher).args(["--features", "pixels", "--n", "70", "--steps", "16,4"]);
    stdout(command);
    let alone = records(&run.join("teacher.eval-fid.json"));
    assert_eq!(alone.len(), 2);
    assert_eq!(alone[0]["score"], results["measured"][2]["record"]["score"]);
    assert_eq!(alone[0]["generated"], results["measured"][2]["record"]["generated"]);
    assert!(alone[0]["generated"]["model"]["weights"]["ema"]["decay"].is_f64());

    // Two records that may be compared, and two that may not.
    let results = run.join("results.json");
    let mut command = eval_fid(dir.path());
    command.arg("--records").arg(run.join("teacher.eval-fid.json")).arg("--against").arg(&results);
    let told = stdout(command);
    assert!(told.contains("compared  sampling steps: 16 | 1") && told.ends_with("comparable\n"), "{told}");
    let mut command = eval_fid(dir.path());
    command
        .arg("--model")
        .arg(&teacher)
        .args(["--features", "pixels", "--n", "50", "--against"])
        .arg(&results);
    fail(command, &["differs   generated images: 50 | 70", "not comparable", "must not be compared"]);
}

#[test]
fn references_are_counted_kept_and_must_fit() {
    let dir = tempfile::tempdir().unwrap();
    succeed(train(dir.path()));
    let model = dir.path().join("tiny/model.safetensors");
    let stats = dir.path().join("digits.npz");
    let reference = || {
        let mut command = fewstep();
        command.args(["reference", "--features", "pixels"]).env("FEWSTEP_CACHE", dir.path().join("cache"));
        command
    };
    let mut command = reference();
    command.args(["--dataset", "digits", "--out"]).arg(&stats);
    let made: Value = serde_json::from_str(&stdout(command)).unwrap();
    assert_eq!(made["count"]["measured"], 1797);
    let mut command = fewstep();
    command.args(["reference", "--show"]).arg(&stats);
    assert_eq!(serde_json::from_str::<Value>(&stdout(command)).unwrap(), made);

    // The file in place of the data set: the same number.
    let score = |extra: &[&str]| {
        let mut command = eval_fid(dir.path());
        command.arg("--model").arg(&model).args(["--features", "pixels", "--n", "40"]).args(extra);
        stdout(command);
        records(&model.with_extension("eval-fid.json")).remove(0)
    };
    let file = stats.to_str().unwrap();
    assert_eq!(score(&["--reference", file])["score"], score(&[])["score"]);

    let refused = |extra: &[&str], parts: &[&str]| {
        let mut command = eval_fid(dir.path());
        fail(
            {
                command.args(extra);
                command
            },
            parts,
        );
    };
    let m = model.to_str().unwrap();
    // Inception's space without its weights, where nobody has them, names what a person can do; nothing was measured.
    let mut without = eval_fid(dir.path());
    without.args(["--model", m, "--n", "40"]).env("PATH", clients(dir.path(), "exit 6"));
    let parts =
        &["eval-fid needs inception", "inception-2015-12-05.pt missing", "fewstep fetch inception --from"];
    fail(without, parts);
    refused(
        &["--model", m, "--n", "40", "--weights", "no/such.pt"],
        &["no/such.pt", "cargo xtask fetch inception"],
    );
    refused(&["--model", m, "--features", "pixels", "--reference", file, "--metrics", "kid"], &["--dataset"]);
    refused(&["--model", m, "--features", "pixels", "--steps", "3"], &["not 3", "divisor"]);
    refused(&["--model", m, "--features", "pixels", "--class", "2"], &["--class 2", "0 classes"]);
    refused(&["--model", m, "--features", "pixels", "--n", "1"], &["at least 2"]);
    refused(&["--run", "no/such/run"], &["not a run folder"]);
    refused(&["--records", file], &["digits.npz"]);
    refused(&["--model", m, "--run", "x"], &["cannot be used with"]);
    refused(&[], &["required"]);
}

#[test]
fn a_run_is_measured_on_the_way_and_stays_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let watched = dir.path().join("watched");
    let mut command = train(&watched);
    command.args([
        "--set=evaluation.every=600",
        "--set=evaluation.every_samples=20",
        "--set=evaluation.student_steps=[4]",
    ]);
    succeed(command);
    let lines = |path: &Path| -> Vec<Value> {
        std::fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let points = lines(&watched.join("tiny/evaluations.jsonl"));
    let at: Vec<u64> = points.iter().map(|p| p["samples"].as_u64().unwrap()).collect();
    // 640 samples of teacher, 640 of each phase, batches of 16.
    assert_eq!(at, [608, 1200, 1808]);
    let what = |p: &Value| -> Vec<(String, u64)> {
        let measured = p["measured"].as_array().unwrap();
        measured
            .iter()
            .map(|m| (m["what"].as_str().unwrap().to_owned(), m["steps"].as_u64().unwrap()))
            .collect()
    };
    let (teacher, student) = ("teacher".to_owned(), "student".to_owned());
    assert_eq!(what(&points[0]), [(teacher.clone(), 1), (teacher, 16)]);
    assert_eq!(what(&points[1]), [(student.clone(), 4)]);
    assert_eq!(what(&points[2]), [(student.clone(), 1), (student, 4)]);
    for m in points.iter().flat_map(|p| p["measured"].as_array().unwrap()) {
        assert_eq!(m["record"]["score"]["n_generated"], 20);
    }
    let page = std::fs::read_to_string(watched.join("tiny/report.html")).unwrap();
    assert!(page.contains("during training"));

    // Measuring changes nothing in the run.
    succeed(train(dir.path()));
    assert_eq!(program::model(&watched), program::model(dir.path()));
}
