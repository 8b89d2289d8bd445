//! Folders that another package saves, against the numbers that it computes with them.
//!
//! The package runs in a Python of its own, which `cargo xtask packages` makes and `cargo xtask test` names in the variable
//! `FEWSTEP_PYTHON`. Without it nothing is compared, which the test says; on CI that is a failure. The folders are the
//! vectors' kind `teacher`, drawn here and computed there, so that the harness is the one of the stored vectors.
//!
//! `FEWSTEP_TEST_PIPELINES=300` draws so many, and `FEWSTEP_TEST_SEED` others.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod dice;
mod diffusers;
mod exports;
mod lucidrains;
mod python;
mod pytorch;
mod sampled;

use std::collections::BTreeMap;
use std::env;
use std::path::Path;

use fewstep_tests::parity::{Measured, check};
use python::{compute, python};
use serde_json::Value;

/// Runs the harness over every case's folder. All failures are reported, each with its case.
fn compare(cases: &[Value]) {
    let mut failures = Vec::new();
    // Tables that are rounded in two ways have wider tolerances, and are reported by themselves.
    let mut worst: BTreeMap<(String, bool), Measured> = BTreeMap::new();
    for case in cases {
        let folder = Path::new(case["folder"].as_str().unwrap());
        let problem = match check(&folder.join("expect.safetensors")) {
            Ok(measured) => {
                let wrong: Vec<String> =
                    measured.iter().filter(|m| !m.is_ok()).map(|m| format!("{m:?}")).collect();
                for m in measured {
                    let key = (m.quantity.clone(), m.tolerance > 1e-7);
                    let so_far = worst.entry(key).or_insert_with(|| m.clone());
                    if m.ratio() > so_far.ratio() {
                        *so_far = m;
                    }
                }
                wrong.join("\n")
            }
            Err(e) => format!("{e:#}"),
        };
        if !problem.is_empty() {
            failures.push(format!("{problem}\n{case}"));
        }
    }
    for m in worst.values() {
        eprintln!(
            "{:24} {:8.1e} / {:.1e}, the worst of {} cases",
            m.quantity,
            m.error,
            m.tolerance,
            cases.len()
        );
    }
    assert!(
        failures.is_empty(),
        "{} of {} cases fail:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n\n")
    );
}

fn number(variable: &str, default: u64) -> u64 {
    match env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|e| panic!("{variable} is {text:?}: {e}")),
        Err(_) => default,
    }
}

/// Draws cases, lets the package compute them, and compares.
fn round_trips(script: &str, draw: fn(u64, u64, &Path) -> Value) {
    let Some(python) = python() else { return };
    fewstep_torch::prepare().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (seed, n) = (number("FEWSTEP_TEST_SEED", 20_261_127), number("FEWSTEP_TEST_PIPELINES", 24));
    println!("seed {seed}");
    let cases: Vec<Value> = (0..n).map(|i| draw(seed, i, folder.path())).collect();
    compute(&python, script, &cases);
    compare(&cases);
}

#[test]
fn pipelines_of_diffusers_give_its_numbers() {
    round_trips("diffusers_folders.py", diffusers::pipeline);
}

#[test]
fn files_of_denoising_diffusion_pytorch_give_its_numbers() {
    round_trips("lucidrains_files.py", lucidrains::file);
}

#[test]
fn exported_students_give_the_same_images_in_the_package() {
    let Some(python) = python() else { return };
    fewstep_torch::prepare().unwrap();
    exports::compare_calls(|cases| compute(&python, "exported_folders.py", cases));
}

#[test]
fn exported_students_with_classes_give_the_same_images_by_the_loop_of_their_cards() {
    let Some(python) = python() else { return };
    fewstep_torch::prepare().unwrap();
    exports::compare_loops(|cases| compute(&python, "exported_folders.py", cases));
}

#[test]
fn exported_networks_go_on_to_onnx() {
    let Some(python) = python() else { return };
    fewstep_torch::prepare().unwrap();
    let folder = tempfile::tempdir().unwrap();
    compute(&python, "onnx_files.py", &exports::folders(folder.path()));
}

#[test]
fn exported_python_gives_the_same_images() {
    let Some(python) = python() else { return };
    fewstep_torch::prepare().unwrap();
    pytorch::compare(&python, |cases| compute(&python, "exported_code.py", cases));
}
