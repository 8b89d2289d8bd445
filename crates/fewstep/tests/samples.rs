//! `sample` and what reads its images again: one seed is one image, wherever it goes.
#![allow(missing_docs, clippy::unwrap_used)]

mod program;

use std::path::Path;

use program::{fail, fewstep, log, succeed, terminate, train};

fn score(subject: &str, path: &Path, extra: &[&str]) -> (f64, serde_json::Value) {
    let out = path.with_extension("score.json");
    let mut command = fewstep();
    command.args(["eval-fid", "--features", "pixels", "--dataset", "digits", "--out"]).arg(&out);
    succeed({
        command.arg(subject).arg(path).args(extra);
        command
    });
    let mut records: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap();
    let record = records.remove(0);
    (record["score"]["value"].as_f64().unwrap(), record)
}

#[test]
fn images_in_files_score_as_the_model_that_made_them() {
    let dir = tempfile::tempdir().unwrap();
    succeed(train(dir.path()));
    let model = dir.path().join("tiny/model.safetensors");
    let sample = |name: &str, extra: &[&str]| {
        let out = dir.path().join(name);
        let seeds = if extra.contains(&"--n") { &[][..] } else { &["--n", "30", "--first-seed", "5"] };
        let mut command = fewstep();
        command.args(["sample", "--batch", "7", "--out"]).arg(&out).args(seeds);
        command.arg("--model").arg(&model).args(extra);
        (command, out)
    };
    let (want, _) = score("--model", &model, &["--n", "30", "--first-seed", "5"]);
    let mut digests = Vec::new();
    for name in ["folder", "images.zip", "images.npz"] {
        let (command, out) = sample(name, &[]);
        succeed(command);
        let (got, record) = score("--images", &out, &[]);
        assert!((got - want).abs() < 1e-9, "{name}: {got} {want}");
        digests.push(record["generated"]["images"]["digest"].clone());
        // What is there already is not written over.
        let (again, _) = sample(name, &[]);
        fail(again, &["there already"]);
    }
    assert!(digests.iter().all(|d| *d == digests[0]), "{digests:?}");

    // One seed is one image, whatever the batch, and carries its seed in its name.
    let (command, one) = sample("one", &["--n", "1", "--first-seed", "17"]);
    succeed(command);
    let image = |folder: &Path| std::fs::read(folder.join("00000/img00000017.png")).unwrap();
    assert_eq!(image(&one), image(&dir.path().join("folder")));

    // A folder with a broken file: refused by name, or left out and counted.
    let folder = dir.path().join("folder");
    std::fs::write(folder.join("00000/img00000006.png"), b"\x89PNG, not").unwrap();
    let mut command = fewstep();
    command.args(["eval-fid", "--features", "pixels", "--dataset", "digits", "--images"]).arg(&folder);
    fail(command, &["img00000006.png"]);
    let (_, record) = score("--images", &folder, &["--skip-bad"]);
    assert_eq!(record["generated"]["images"]["skipped"], 1);
    assert_eq!(record["score"]["n_generated"], 29);
    let mut command = fewstep();
    command.args([
        "eval-fid",
        "--features",
        "pixels",
        "--dataset",
        "digits",
        "--n",
        "30",
        "--skip-bad",
        "--images",
    ]);
    command.arg(&folder);
    fail(command, &["--n 30", "has 29 images"]);

    // Churn needs Heun's method; with it there are two evaluations a step.
    let (command, _) = sample("churn.png", &["--solver", "ddim", "--s-churn", "4"]);
    fail(command, &["churn", "heun"]);
    let teacher = dir.path().join("tiny/teacher.safetensors");
    let mut command = fewstep();
    command.args(["sample", "--n", "2", "--steps", "5", "--solver", "heun", "--out"]);
    command.arg(dir.path().join("heun.png")).arg("--model").arg(&teacher);
    assert!(succeed(command).contains("by heun, 10 network evaluations each"));
}

#[test]
fn sampling_that_is_stopped_writes_nothing() {
    let runs = tempfile::tempdir().unwrap();
    succeed(train(runs.path()));
    let dir = tempfile::tempdir().unwrap();
    let files = || std::fs::read_dir(dir.path()).unwrap().count();
    let mut command = fewstep();
    command.args(["sample", "--n", "10000000", "--out"]).arg(dir.path().join("images.zip"));
    command.arg("--model").arg(runs.path().join("tiny/model.safetensors"));
    let output = terminate(command, || files() > 0);
    assert_eq!(output.status.code(), Some(130), "{}", log(&output));
    assert!(log(&output).contains("stopped; nothing was written"), "{}", log(&output));
    assert_eq!(files(), 0);
}
