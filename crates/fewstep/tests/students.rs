//! Students of trained pipelines of diffusers: distilled by the program, exported, and called in the package itself as their
//! model cards say, against `fewstep sample` on the same noise.
//!
//! The package runs in the Python that `FEWSTEP_PYTHON` names, as for the tests of the package `fewstep-tests`, whose scripts
//! these are; without one nothing is compared. Usually each teacher trains for 60 steps and five students are made, so that every
//! number of steps and every prediction is there. `FEWSTEP_TEST_TEACHER_SECONDS=60` trains each for a minute, and makes all
//! fifteen students with more samples.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod program;
#[path = "../../../tests/tests/packages/python.rs"]
mod python;

use std::env;
use std::path::{Path, PathBuf};

use fewstep_formats::{NamedArray, read_npy, write_npy};
use fewstep_models::Prediction;
use fewstep_random::{Key, Stream};
use fewstep_samplers::ModelFile;
use program::{fewstep, succeed};
use python::{compute, python};
use serde_json::{Value, json};

/// Images per student.
const N: usize = 64;
/// Values of an image of the digits.
const PIXELS: usize = 64;
/// The largest difference, in 8-bit levels.
const TENTH: f64 = 0.1;
const STEPS: [usize; 5] = [1, 2, 3, 4, 8];

/// What a student predicts, and so does its teacher: here, and in the package.
const PREDICTIONS: [(Prediction, &str, &str); 3] = [
    (Prediction::Eps, "eps", "epsilon"),
    (Prediction::X0, "x0", "sample"),
    (Prediction::V, "v", "v_prediction"),
];

/// How long the test may take.
struct Effort {
    /// For each teacher: so many steps, the same on every machine, or so many seconds.
    teacher: Value,
    samples: usize,
    /// Whether a student of this prediction and number of steps, by their places in the lists, is made.
    makes: fn(usize, usize) -> bool,
}

impl Effort {
    fn of_environment() -> Self {
        match env::var("FEWSTEP_TEST_TEACHER_SECONDS") {
            Ok(seconds) => {
                let seconds: f64 = seconds.parse().unwrap();
                Self { teacher: json!({ "seconds": seconds }), samples: 60_000, makes: |_, _| true }
            }
            // Predicted noise in one step is left to the longer test: its rounding is 157 times as large in the image, and what
            // a teacher of a few steps makes of it depends on the machine.
            Err(_) => {
                Self { teacher: json!({ "steps": 60 }), samples: 1_280, makes: |p, k| (k + 1) % 3 == p }
            }
        }
    }
}

/// Trains a teacher of each prediction; the folders.
fn teachers(python: &Path, root: &Path, effort: &Effort) -> Vec<PathBuf> {
    let images = root.join("digits.npz");
    let mut dataset = fewstep();
    dataset.args(["dataset", "--from", "digits", "--out"]).arg(&images);
    succeed(dataset);
    let folders: Vec<PathBuf> = PREDICTIONS.iter().map(|(_, name, _)| root.join(name)).collect();
    let cases = PREDICTIONS.iter().zip(&folders).map(|((_, _, theirs), folder)| {
        json!({ "folder": folder, "prediction": theirs, "budget": effort.teacher, "images": images })
    });
    compute(python, "small_teachers.py", &cases.collect::<Vec<_>>());
    folders
}

/// Distils a teacher; the student's model file.
fn distil(teacher: &Path, prediction: &str, steps: usize, samples: usize) -> PathBuf {
    let runs = teacher.with_extension("runs");
    let mut train = fewstep();
    train.args(["train", "--data", "digits", "--steps", &steps.to_string(), "--teacher"]).arg(teacher);
    train.arg("--runs").arg(&runs).args([
        // Of itself, a student of a teacher that predicts noise predicts v.
        &format!("--set=student.prediction={prediction:?}"),
        &format!("--set=distill.samples={samples}"),
        "--set=evaluation.samples=16",
        "--set=evaluation.grid=4",
        "--set=evaluation.teacher_steps=[1]",
    ]);
    succeed(train);
    runs.join(format!("{prediction}_{steps}/model.safetensors"))
}

/// Exports a student, and samples it here from the noise that lies in the folder then.
fn export_and_sample(model: &Path, folder: &Path, key: u64) -> Vec<f64> {
    let mut export = fewstep();
    export.args(["export", "--format", "diffusers", "--model"]).arg(model).arg("--out").arg(folder);
    succeed(export);
    let z = folder.join("z.npy");
    let seeds: Vec<u64> = (0..N as u64).collect();
    let draws = Key::new(key, 0, Stream::Sample).normals(&seeds, PIXELS);
    let noise = NamedArray::from_f32("z", &[N, 1, 8, 8], &draws).unwrap();
    write_npy(&noise, std::fs::File::create(&z).unwrap()).unwrap();
    let x = model.with_file_name("x.npy");
    let mut sample = fewstep();
    sample.arg("sample").arg("--model").arg(model).arg("--noise").arg(&z).arg("--out").arg(&x);
    succeed(sample);
    numbers(&x)
}

/// The numbers in a file of `N` images.
fn numbers(path: &Path) -> Vec<f64> {
    let array = read_npy(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(array.shape, [N, 1, 8, 8], "{}", path.display());
    array.to_f64()
}

#[test]
fn students_of_trained_pipelines_give_the_same_images_in_the_package() {
    let Some(python) = python() else { return };
    let (root, effort) = (tempfile::tempdir().unwrap(), Effort::of_environment());
    let teachers = teachers(&python, root.path(), &effort);
    let (mut cases, mut students) = (Vec::new(), Vec::new());
    for (p, (prediction, name, _)) in PREDICTIONS.into_iter().enumerate() {
        for (_, steps) in STEPS.into_iter().enumerate().filter(|(k, _)| (effort.makes)(p, *k)) {
            let model = distil(&teachers[p], name, steps, effort.samples);
            let card = ModelFile::load(&model).unwrap().card;
            assert_eq!((card.model.prediction, card.own_steps()), (prediction, steps));
            let folder = root.path().join(format!("student_{name}_{steps}"));
            let ours = export_and_sample(&model, &folder, (10 * p + steps) as u64);
            cases.push(json!({ "folder": folder }));
            // At the noise end an error of predicted noise is 157 times as large in the image: one step clips nearly all.
            let clipped = prediction == Prediction::Eps && steps == 1;
            students.push((format!("{name}, {steps} step(s)"), folder, ours, clipped));
        }
    }
    compute(&python, "exported_folders.py", &cases);
    let mut wrong = Vec::new();
    for (what, folder, ours, clipped) in &students {
        let theirs = numbers(&folder.join("images.npy"));
        let ours: Vec<f64> = ours.iter().map(|x| (x * 0.5 + 0.5).clamp(0.0, 1.0)).collect();
        assert!(theirs.iter().all(|x| x.is_finite()), "{what}");
        let levels = 255.0 * ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let grey = ours.iter().filter(|x| (0.01..0.99).contains(*x)).count() as f64 / ours.len() as f64;
        println!("{what}: {levels:.4} levels, {:.0} % of pixels neither black nor white", 100.0 * grey);
        // Images that are clipped everywhere would agree whatever is wrong.
        if levels >= TENTH || (grey < 0.05 && !clipped) {
            wrong.push(what);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}: {TENTH} levels or more apart, or images that say nothing");
}
