//! Inputs that are wrong: one clear sentence with the file or key, a non-zero exit, and nothing lost.
#![allow(missing_docs, clippy::unwrap_used)]

mod program;

use std::path::Path;
use std::process::Command;

use fewstep_samplers::ModelFile;
use program::{brief, fail, fewstep, images, model, snapshot, succeed, train};

fn with(runs: &Path, set: &str) -> Command {
    let mut command = train(runs);
    command.arg(format!("--set={set}"));
    command
}

#[test]
fn wrong_configs_are_named_by_key_and_make_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    let cases: &[(&str, &[&str])] = &[
        ("training.batchs=8", &["training.batchs", "did you mean `batch`"]),
        ("training.batch=\"x\"", &["training.batch", "x"]),
        ("training.batch=0", &["training.batch", "at least 1"]),
        ("training.micro_batch=0", &["training.micro_batch", "at least 1"]),
        ("model.prediction=\"w\"", &["model.prediction", "w"]),
        ("distill.samples=0", &["distill.samples: must be at least 1"]),
        ("teacher.samples=0", &["teacher.samples: must be at least 1"]),
        ("training.checkpoint_every=0", &["training.checkpoint_every", "at least 1"]),
        ("teacher.dropout=1.0", &["teacher.dropout", "below 1"]),
        ("distill.dropout=-0.5", &["distill.dropout", "at least 0"]),
        ("evaluation.samples=1", &["evaluation.samples", "at least 2"]),
        ("evaluation.labels=\"even\"", &["evaluation.labels", "`data`", "uniform"]),
        ("distill.schedule=[64, 7, 1]", &["64", "7", "divisible"]),
        ("distill.schedule=[64]", &["distill.schedule", "at least two"]),
        ("distill.self_teacher_decay=1.5", &["distill.self_teacher_decay", "1.5"]),
        ("distill.learning_rate.base=-1.0", &["distill.learning_rate", "-1"]),
        (
            "model.network.channel_mult=[1, 2, 2, 2, 2]",
            &["model.network", "resolution", "8", "halved 4 times"],
        ),
        ("model.network.image_channels=3", &["3x8x8", "digits", "1x8x8"]),
        ("model.network.attention_resolutions=[5]", &["attention_resolutions", "5"]),
        ("evaluation.teacher_steps=[0]", &["evaluation.teacher_steps", "at least 1"]),
        ("distill.objective=\"btd\"", &["distill.schedule", "btd", "16", "4"]),
        ("training.adam.beta1=1.0", &["training.adam", "beta1 = 1", "below 1"]),
        ("training.gradient={kind='clip_norm', max_norm=-1.0}", &["training.gradient", "max_norm = -1"]),
        ("distill.tract.weighting={kind='edm', sigma_data=0.0}", &["distill.tract", "sigma_data"]),
        ("distill.btd.clip=\"unit_range\"", &["distill.btd", "no effect", "distill.objective is `tract`"]),
        (
            "teacher.objective.noise={kind='log_normal', mean=0.0, std=-1.0}",
            &["teacher.objective", "std = -1"],
        ),
        // Numbers that would take all memory.
        ("distill.schedule=[99999999999, 1]", &["distill.schedule", "at most 1048576"]),
        ("evaluation.teacher_steps=[99999999999]", &["evaluation.teacher_steps", "at most 1048576"]),
        (
            "model.network.embedding_channels=9223372036854775807",
            &["model.network.embedding_channels", "at most 65536"],
        ),
        ("model.network.channels=1099511627776", &["model.network.channels", "at most 65536"]),
        ("evaluation.grid=0", &["evaluation.grid", "at least 1"]),
        ("schedule.kind=\"linear\"", &["schedule", "linear_beta"]),
        ("device=\"gpu\"", &["device", "gpu"]),
        ("compute=\"f16\"", &["compute", "f16", "f32 or f64 or tf32 or bf16"]),
        ("compute=\"tf32\"", &["compute", "tf32", "f32 or f64"]),
        ("compute={ frozen = \"f64\" }", &["compute", "`frozen`", "f64 is for all roles or none"]),
        ("compute={ teacher = \"f32\" }", &["compute", "teacher", "frozen"]),
        ("device=\"cuda:99\"", &["cuda:99", "not available"]),
        ("name=\"a/b\"", &["name", "a/b"]),
        ("teacher.from=\"nothing.safetensors\"", &["teacher.from", "nothing.safetensors"]),
    ];
    for (set, parts) in cases {
        fail(with(&runs, set), parts);
        assert!(!runs.exists(), "{set} left a folder");
    }
    let mut command = fewstep();
    command.args(["train", "--config", "no/such.toml", "--runs"]).arg(&runs);
    fail(command, &["no/such.toml"]);
    let broken = dir.path().join("broken.toml");
    std::fs::write(&broken, "name = [").unwrap();
    let mut command = fewstep();
    command.arg("train").arg("--config").arg(&broken);
    fail(command, &["broken.toml", "TOML"]);
    let mut command = train(&runs);
    command.env("FEWSTEP__TRAINING__BATCHES", "3");
    fail(command, &["training.batches", "environment"]);
}

#[test]
fn missing_truncated_and_altered_data_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("mnist");
    let mnist = |verify: bool| {
        let mut command = fewstep();
        command.arg("train").arg("--runs").arg(dir.path().join("runs")).args(program::TINY);
        command.arg(format!("--set=data={{ kind = \"mnist\", path = {data:?}, verify = {verify} }}"));
        command
    };
    fail(mnist(true), &["mnist", "train-images"]);
    std::fs::create_dir(&data).unwrap();
    // An idx header that promises 60,000 images over a body of 100 bytes.
    let mut images = vec![0, 0, 8, 3, 0, 0, 0xea, 0x60, 0, 0, 0, 28, 0, 0, 0, 28];
    images.extend([7u8; 100]);
    std::fs::write(data.join("train-images-idx3-ubyte"), &images).unwrap();
    std::fs::write(data.join("train-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 1, 5]).unwrap();
    fail(mnist(false), &["train-images-idx3-ubyte", "47040016"]);
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28];
    images.extend([7u8; 784]);
    std::fs::write(data.join("train-images-idx3-ubyte"), &images).unwrap();
    fail(mnist(true), &["train-images-idx3-ubyte", "digest"]);
    assert!(!dir.path().join("runs").exists());
}

#[test]
fn a_run_folder_of_another_config_is_refused_and_untouched() {
    let dir = tempfile::tempdir().unwrap();
    succeed(train(dir.path()));
    let before = snapshot(&dir.path().join("tiny"));
    fail(with(dir.path(), "distill.samples=1296"), &["tiny", "distill.samples", "1280", "1296"]);
    fail(with(dir.path(), "seed=7"), &["seed is 0 there and 7 here"]);
    let after = snapshot(&dir.path().join("tiny"));
    assert!(before == after, "nothing in the folder changes");
    // What does not touch training may change: evaluation is made again, the model stays.
    let want = model(dir.path());
    let text = succeed(with(dir.path(), "evaluation.samples=80"));
    assert!(text.contains("80 samples"), "{text}");
    assert!(model(dir.path()) == want);
}

#[test]
fn data_and_teachers_that_changed_are_called_so() {
    let dir = tempfile::tempdir().unwrap();
    let (data, teacher) = (dir.path().join("images.npz"), dir.path().join("teacher.safetensors"));
    let set = images(&data, &[9, 9]);
    let run = |more: &[&str]| {
        let mut command = brief(dir.path());
        command.arg(&set).args(more);
        command
    };
    succeed(run(&[]));
    std::fs::copy(dir.path().join("tiny/teacher.safetensors"), &teacher).unwrap();
    let from = format!("--set=teacher.from={teacher:?}");
    let second = ["--set=name=second", &from];
    succeed(run(&second));
    let before = snapshot(&dir.path().join("tiny"));
    images(&data, &[9, 10]);
    let told = fail(run(&[]), &["the data differ", "another data set (digest", "--set name="]);
    assert!(!told.contains("another config"), "{told}");
    assert!(before == snapshot(&dir.path().join("tiny")), "nothing in the folder changes");
    let told = fail(run(&second), &["the data differ"]);
    assert!(!told.contains("another teacher"), "{told}");
    // The data as they were, and another teacher of the same network under the same name.
    images(&data, &[9, 9]);
    std::fs::copy(dir.path().join("tiny/model.safetensors"), &teacher).unwrap();
    let file = ModelFile::load(&dir.path().join("tiny/teacher.safetensors")).unwrap();
    ModelFile::save(&teacher, &file.card, file.network.as_ref(), &(&file.flat * 0.5)).unwrap();
    let told = fail(run(&second), &["the teacher's file differs", "another teacher (digest"]);
    assert!(!told.contains("data set ("), "{told}");
    succeed(run(&[]));
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    // No one may make folders in /proc, not even root.
    fail(train(Path::new("/proc/fewstep-runs")), &["/proc/fewstep-runs"]);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tiny"), b"a file stands here").unwrap();
    fail(train(dir.path()), &["tiny"]);
    assert_eq!(std::fs::read(dir.path().join("tiny")).unwrap(), b"a file stands here");
}

#[test]
fn two_processes_cannot_work_in_one_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("tiny");
    std::fs::create_dir(&folder).unwrap();
    let lock = std::fs::File::create(folder.join("run.lock")).unwrap();
    lock.lock().unwrap();
    fail(train(dir.path()), &["another process"]);
    drop(lock);
    succeed(train(dir.path()));
}

#[test]
fn damaged_model_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    succeed(train(dir.path()));
    let path = dir.path().join("tiny/model.safetensors");
    let good = std::fs::read(&path).unwrap();
    let sample = |args: &[&str]| {
        let mut command = fewstep();
        command
            .arg("sample")
            .arg("--model")
            .arg(&path)
            .args(args)
            .arg("--out")
            .arg(dir.path().join("out.png"));
        command
    };
    succeed(sample(&["--n", "5", "--first-seed", "3"]));
    fail(sample(&["--steps", "5"]), &["--steps 5", "16"]);
    fail(sample(&["--class", "1"]), &["--class 1", "0 classes"]);
    std::fs::remove_file(dir.path().join("out.png")).unwrap();
    std::fs::write(&path, &good[..good.len() / 2]).unwrap();
    fail(sample(&[]), &["model.safetensors", "not a valid safetensors file"]);
    std::fs::write(&path, b"").unwrap();
    fail(sample(&[]), &["model.safetensors"]);
    std::fs::remove_file(&path).unwrap();
    fail(sample(&[]), &["model.safetensors"]);
    assert!(!dir.path().join("out.png").exists());
}
