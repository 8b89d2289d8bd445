//! What a record says of how its number was made: two numbers made in different ways are told apart, and a run measures
//! what its images allow.
#![allow(missing_docs, clippy::unwrap_used)]

mod program;

use std::path::{Path, PathBuf};
use std::process::Command;

use fewstep_data::{Dataset, OnBad, open_images};
use fewstep_formats::{NamedArray, write_npz};
use fewstep_models::X0Clip;
use fewstep_samplers::ModelFile;
use fewstep_torch::Tensor;
use program::{brief, fail, fewstep, images, json, log, stdout, succeed};
use serde_json::{Value, json};

/// `fewstep eval-fid` in pixels.
fn eval_fid(args: &[&str]) -> Command {
    let mut command = fewstep();
    command.args(["eval-fid", "--features", "pixels"]).args(args);
    command
}

fn labels(record: &Value) -> &Value {
    &record["generated"]["model"]["making"]["labels"]
}

#[test]
fn labels_follow_the_data_and_the_record_says_so() {
    let counts = [3, 200, 40, 7];
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("images.npz");
    let set = images(&data, &counts);
    let run = |more: &[&str]| {
        let mut command = brief(dir.path());
        command.arg(&set).args(["--set=model.network.n_classes=4", "--set=evaluation.samples=60"]).args(more);
        command
    };
    let told = succeed(run(&[]));
    assert!(told.contains("classes in the data's proportions"), "{told}");
    let folder = dir.path().join("tiny");
    let results = json(&folder.join("results.json"));
    let record = &results["measured"][0]["record"];
    let by_data = &labels(record)["data"];
    assert_eq!(
        (&by_data["classes"], &by_data["fewest"], &by_data["most"]),
        (&json!(4), &json!(3), &json!(200))
    );
    // The run and its model alone give the same number; another rule gives another one, and says so.
    let (model, at) = (folder.join("model.safetensors"), dir.path().join("one.json"));
    let (m, d, out) = (model.to_str().unwrap(), data.to_str().unwrap(), at.to_str().unwrap());
    let measured_of = |model: &str, more: &[&str]| {
        let args = ["--model", model, "--dataset", d, "--n", "60", "--batch", "64", "--out", out];
        succeed(eval_fid(&[&args, more].concat()));
        json(&at)[0].clone()
    };
    let measured = |more: &[&str]| measured_of(m, more);
    assert_eq!(&measured(&[]), record);
    // A model of a second hardly heeds its labels; one with large parameters does.
    let mut file = ModelFile::load(&model).unwrap();
    let values: Vec<f32> = (0..file.flat.numel()).map(|i| 0.3 * (i as f32).sin()).collect();
    file.flat = Tensor::from_slice(&values);
    let strong = dir.path().join("strong.safetensors");
    ModelFile::save(&strong, &file.card, file.network.as_ref(), &file.flat).unwrap();
    let value =
        |more: &[&str]| measured_of(strong.to_str().unwrap(), more)["score"]["value"].as_f64().unwrap();
    let (by_data, uniformly) = (value(&[]), value(&["--labels", "uniform"]));
    assert!((by_data - uniformly).abs() > 1e-3 * by_data, "{by_data} {uniformly}");
    let uniform = measured(&["--labels", "uniform"]);
    assert_eq!(labels(&uniform), &json!("uniform"));
    let one = measured(&["--class", "1"]);
    assert_eq!(labels(&one), &json!({"one": {"class": 1}}));
    let against = |path: &Path| {
        let mut command = eval_fid(&["--model", m, "--dataset", d, "--n", "60"]);
        command.arg("--against").arg(path);
        command
    };
    fail(against(&at), &["differs   labels", "class 1 only", "not comparable"]);
    // Teacher and student of one run are what is compared.
    assert!(stdout(against(&folder.join("results.json"))).ends_with("comparable\n"));
    // Asked for otherwise, the run measures again.
    succeed(run(&["--set=evaluation.labels=uniform"]));
    assert_eq!(json(&folder.join("results.json"))["measured"][0]["record"]["score"], uniform["score"]);

    // Without data the card knows the proportions.
    let drawn = |name: &str, more: &[&str]| {
        let out = dir.path().join(name);
        let mut command = fewstep();
        command.args(["sample", "--n", "250", "--model", m, "--out"]).arg(&out).args(more);
        succeed(command);
        let set = open_images(&out, OnBad::Refuse).unwrap();
        let mut drawn = [0usize; 4];
        (0..set.len()).for_each(|i| drawn[set.label(i).unwrap()] += 1);
        drawn
    };
    let [rare, common, ..] = drawn("data.npz", &[]);
    assert!(rare < 12 && common > 160, "{rare} {common}");
    assert!(drawn("uniform.npz", &["--labels", "uniform"]).iter().all(|&n| n > 40));
    assert_eq!(drawn("one.npz", &["--class", "2"]), [0, 0, 250, 0]);
    fail(eval_fid(&["--model", m, "--dataset", d, "--class", "4"]), &["--class 4", "4 classes"]);
    fail(eval_fid(&["--model", m, "--dataset", d, "--class", "1", "--labels", "data"]), &["--labels"]);
}

/// Colour images of 16x16 for the small networks of `tests/golden/import`.
fn colours(dir: &Path) -> PathBuf {
    const N: usize = 24;
    let pixels: Vec<u8> = (0..N * 3 * 16 * 16).map(|i| (i * i % 251) as u8).collect();
    let images = NamedArray::from_u8("images", &[N, 3, 16, 16], &pixels).unwrap();
    let path = dir.join("colours.npz");
    write_npz(&[images], std::fs::File::create(&path).unwrap()).unwrap();
    path
}

#[test]
fn one_checkpoint_that_is_asked_in_two_ways_gives_numbers_that_do_not_compare() {
    let dir = tempfile::tempdir().unwrap();
    let data = colours(dir.path());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/import/ddpm_unet_zip.pt");
    let model = |name: &str, args: &[&str]| {
        let out = dir.path().join(name).with_extension("safetensors");
        let mut command = fewstep();
        command.arg("import").arg(&file).args(["--resolution", "16", "--heads", "1", "--out"]).arg(&out);
        command.args(args);
        succeed(command);
        out
    };
    let measure = |model: &Path, more: &[&str]| {
        let mut command = eval_fid(&["--n", "4", "--steps", "2", "--dataset"]);
        command.arg(&data).arg("--model").arg(model).args(more);
        command
    };
    let usual = model("usual", &["--prediction", "x0"]);
    let record = dir.path().join("record.json");
    let out = ["--out", record.to_str().unwrap()];
    succeed(measure(&usual, &out));
    let against = ["--against", record.to_str().unwrap()];
    assert!(stdout(measure(&usual, &against)).ends_with("comparable\n"));
    let schedule = model("schedule", &["--prediction", "x0", "--schedule", "linear_beta"]);
    fail(measure(&schedule, &against), &["differs   schedule", "linear_beta", "cosine_log_snr"]);
    let prediction = model("prediction", &["--prediction", "eps"]);
    fail(measure(&prediction, &against), &["differs   prediction: eps | x0"]);
    // As a card may also say.
    let mut other = ModelFile::load(&usual).unwrap();
    other.card.clip = X0Clip::Off;
    let clip = dir.path().join("clip.safetensors");
    ModelFile::save(&clip, &other.card, other.network.as_ref(), &other.flat).unwrap();
    fail(measure(&clip, &against), &["differs   clipping: off | unit_range"]);
    let heun = measure(&usual, &["--solver", "heun", against[0], against[1]]);
    fail(heun, &["differs   sampler: heun | ddim", "not comparable"]);
}

#[test]
fn a_second_measurement_is_kept_beside_the_first() {
    let dir = tempfile::tempdir().unwrap();
    succeed(brief(dir.path()));
    let model = dir.path().join("tiny/model.safetensors");
    let kept = model.with_extension("eval-fid.json");
    let measure = |n: &str| {
        let mut command = eval_fid(&["--n", n, "--model"]);
        command.arg(&model);
        command
    };
    for n in ["20", "30", "20"] {
        succeed(measure(n));
    }
    let counts: Vec<u64> = json(&kept)
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["score"]["n_generated"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [30, 20], "the same question twice is one record");

    // What cannot be written costs the record and not the number, and what is no record stays as it is.
    std::fs::write(&kept, "not mine").unwrap();
    let output = measure("20").output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("frechet[pixels]"));
    assert!(log(&output).contains("WARN no record was written") && log(&output).contains("eval-fid.json"));
    assert_eq!(std::fs::read(&kept).unwrap(), b"not mine");
    std::fs::remove_file(&kept).unwrap();
    std::fs::create_dir(&kept).unwrap();
    let output = measure("20").output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("frechet[pixels]"));
    assert!(log(&output).contains("WARN no record was written"), "{}", log(&output));
}

#[test]
fn a_run_is_measured_from_any_folder() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    images(&dir.path().join("images.npz"), &[40]);
    let run = |name: &str, more: &[&str]| {
        let mut command = brief(Path::new("runs"));
        command.arg("--set=data={kind='images', path='images.npz'}").arg(format!("--set=name={name}"));
        command.args(more).current_dir(dir.path());
        command
    };
    succeed(run("first", &[]));
    succeed(run("second", &["--set=teacher.from='runs/first/teacher.safetensors'"]));
    let mut command = fewstep();
    command.args(["eval-fid", "--run"]).arg(dir.path().join("runs/second")).current_dir(elsewhere.path());
    assert_eq!(stdout(command).lines().count(), 2);
}

#[test]
fn some_images_of_a_set_are_taken_from_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (set, out) = (dir.path().join("set.npz"), dir.path().join("out.json"));
    images(&set, &[50, 50, 50]);
    let measured = |n: &str| {
        let mut command = eval_fid(&["--dataset", "digits", "--n", n, "--images"]);
        command.arg(&set).arg("--out").arg(&out);
        succeed(command);
        json(&out)[0]["generated"]["images"].clone()
    };
    let (some, all) = (measured("30"), measured("150"));
    assert!(some["description"].as_str().unwrap().ends_with("30 of 150 images, spread evenly"), "{some}");
    assert!(all["description"].as_str().unwrap().ends_with("all 150 images"), "{all}");
    assert_ne!(some["digest"], all["digest"], "a digest is of the images that were scored");
}

#[test]
fn what_too_few_images_say_nothing_of_is_told_before_and_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, n: usize, metrics: &str| {
        let set = images(&dir.path().join(name).with_extension("npz"), &[n]);
        let set = [
            set,
            format!("--set=name={name}"),
            format!("--set=evaluation.metrics={metrics}"),
            "--set=evaluation.every=100".to_owned(),
            "--set=evaluation.every_samples=3".to_owned(),
        ];
        let mut plan = fewstep();
        plan.arg("plan").args(program::TINY).args(program::BRIEF).args(&set);
        let plan = stdout(plan);
        let mut command = brief(dir.path());
        command.args(&set);
        let text = succeed(command);
        let folder = dir.path().join(name);
        for file in ["model.safetensors", "samples/data.png", "samples/teacher.png", "samples/student.png"] {
            assert!(folder.join(file).is_file(), "{file}");
        }
        let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
        let results = json(&folder.join("results.json"));
        let names = |key: &str, pointer: &str| -> Vec<String> {
            let list = results[key].as_array().cloned().unwrap_or_default();
            list.iter().map(|m| m.pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect()
        };
        let measured = names("measured", "/record/score/metric/name");
        let not_measured = names("not_measured", "/metric");
        for metric in &not_measured {
            let told = format!("{metric} cannot be measured: it needs at least");
            assert!(plan.contains(&told) && page.contains(&told), "{metric}");
            assert!(text.find(&told).unwrap() < text.find("teacher is done").unwrap(), "{text}");
        }
        (measured, not_measured)
    };
    let every = "['frechet', 'kernel', 'precision-recall', 'frechet-infinity']";
    let (measured, not_measured) = run("one", 1, every);
    assert_eq!((measured.len(), not_measured.len()), (0, 4));
    let (measured, not_measured) = run("three", 3, every);
    assert_eq!(not_measured, ["precision-recall"]);
    // The student at one step, and the teacher at one.
    let names = ["frechet[pixels]", "frechet-infinity[pixels]", "kernel[pixels]"];
    assert_eq!(measured, [names, names].concat());
    assert_eq!(run("enough", 20, "['frechet']").1, [""; 0]);

    // By itself a number is refused at once, and beside others it is left out.
    let mut command = eval_fid(&["--dataset", "digits", "--metrics", "precision-recall", "--images"]);
    let three = dir.path().join("three.npz");
    command.arg(&three);
    fail(command, &["--metrics", "precision-recall", "at least 4 generated images, not 3"]);
    let mut command = eval_fid(&["--dataset", "digits", "--metrics", "fid,precision-recall", "--images"]);
    command.arg(&three);
    assert_eq!(stdout(command).lines().count(), 1);
    let mut command = eval_fid(&["--images", "digits", "--dataset"]);
    command.arg(dir.path().join("one.npz"));
    fail(command, &["frechet", "at least 2 images of the data, not 1"]);
}
