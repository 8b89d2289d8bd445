//! Outputs that cannot be written are told at once, and flags that say nothing are refused.
#![allow(missing_docs, clippy::unwrap_used)]

mod program;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use program::{brief, fail, fewstep, snapshot, succeed};

fn command(args: &[&str]) -> Command {
    let mut command = fewstep();
    command.args(args);
    command
}

#[test]
fn an_output_that_cannot_be_written_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    succeed(brief(dir.path()));
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let model = path("tiny/model.safetensors");
    std::fs::write(path("file"), b"what stood here").unwrap();
    let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/import/edm_ncsnpp.pkl");
    let before = snapshot(dir.path());
    // So much that it would take hours.
    let sample = ["sample", "--n", "1000000000", "--model", &model, "--out"];
    let eval = ["eval-fid", "--n", "1000000000", "--features", "pixels", "--model", &model, "--out"];
    let reference = ["reference", "--dataset", "digits", "--features", "pixels", "--out"];
    let import = ["import", checkpoint.to_str().unwrap(), "--out"];
    let dataset = ["dataset", "--from", "digits", "--out"];
    let train = ["train", "--runs"];
    let missing =
        ["no/such/x.png", "no/such/x.zip", "no/such/x.npz", "no/such/x", "file/x.png", "file/x.npz"];
    let started = Instant::now();
    for args in [&sample[..], &eval, &reference, &import, &dataset] {
        for name in missing {
            fail(command(&[args, &[&path(name)]].concat()), &["--out", name, "cannot be written"]);
        }
        fail(command(&[args, &["/proc/x.npz"]].concat()), &["--out /proc/x.npz"]);
    }
    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    for args in [&eval[..], &reference, &import] {
        fail(command(&[args, &[&path("tiny")]].concat()), &["--out", "tiny", "is a folder"]);
        fail(command(&[args, &[&path("pipe")]].concat()), &["--out", "pipe", "is not a file"]);
    }
    std::fs::remove_file(path("pipe")).unwrap();
    std::fs::create_dir(path("folder.png")).unwrap();
    fail(command(&[&sample[..], &[&path("folder.png")]].concat()), &["folder.png", "is a folder"]);
    std::fs::remove_dir(path("folder.png")).unwrap();
    for runs in ["file", "file/runs"] {
        fail(command(&[&train[..], &[&path(runs)]].concat()), &["--runs", runs]);
    }
    assert!(started.elapsed().as_secs() < 60);
    assert!(snapshot(dir.path()) == before);
}

#[test]
fn flags_that_say_nothing_are_named() {
    let dir = tempfile::tempdir().unwrap();
    succeed(brief(dir.path()));
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (run, model) = (path("tiny"), path("tiny/model.safetensors"));
    let eval = |args: &[&str], more: &[&str]| command(&[&["eval-fid"], args, more].concat());
    let images = ["--images", "digits", "--dataset", "digits", "--features", "pixels"];
    for flags in [
        &["--steps", "4"][..],
        &["--class", "1"],
        &["--labels", "uniform"],
        &["--first-seed", "7"],
        &["--solver", "heun"],
        &["--split", "test"],
        &["--replicate-grey"],
        &["--weights", "w.pth"],
        &["--skip-bad"],
    ] {
        fail(eval(&images, flags), &[flags[0]]);
    }
    for flags in [&["--solver", "ddim"][..], &["--skip-bad"], &["--class", "1"], &["--labels", "data"]] {
        fail(eval(&["--run", &run], flags), &[flags[0]]);
    }
    let of_model = ["--model", &model, "--features", "pixels"];
    for flags in [
        &["--skip-bad"][..],
        &["--split", "test"],
        &["--class", "0"],
        &["--labels", "uniform"],
        &["--n", "1"],
    ] {
        fail(eval(&of_model, flags), &[flags[0]]);
    }
    let results = path("tiny/results.json");
    for flags in [
        &["--n", "5"][..],
        &["--steps", "1"],
        &["--dataset", "digits"],
        &["--features", "pixels"],
        &["--metrics", "kid"],
        &["--out", "x.json"],
        &["--device", "cpu"],
    ] {
        fail(eval(&["--records", &results], flags), &[flags[0], "--records"]);
    }
    let sample = ["sample", "--model", &model, "--out", &path("x.png")];
    for flags in [&["--class", "0"][..], &["--labels", "data"], &["--batch", "0"], &["--n", "0"]] {
        fail(command(&[&sample[..], flags].concat()), &[flags[0]]);
    }
    let reference = ["reference", "--dataset", "digits", "--features", "pixels"];
    for flags in [&["--skip-bad"][..], &["--split", "test"], &["--weights", "w.pth"], &["--replicate-grey"]] {
        fail(command(&[&reference[..], flags].concat()), &[flags[0]]);
    }
    fail(command(&["dataset", "--from", "digits", "--out", &path("x.zip"), "--skip-bad"]), &["--skip-bad"]);
}
