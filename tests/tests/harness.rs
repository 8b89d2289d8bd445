//! Proves that the parity harness can fail: every change of a vector that should be noticed is made to a copy, next to the
//! same copy unchanged.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod vector;

use std::ffi::OsStr;
use std::path::Path;

use fewstep_tests::parity::{Faults, Measured, Request, Summary, check_with, run};
use tempfile::tempdir;
use vector::Vector;

/// Runs the harness over one folder.
fn run_folder(folder: &Path) -> (Summary, String) {
    fewstep_torch::prepare().unwrap();
    let mut out = Vec::new();
    let request = Request { folders: vec![folder.to_owned()], filters: vec![] };
    let summary = run(&request, &mut out).unwrap();
    (summary, String::from_utf8(out).unwrap())
}

/// Runs the harness over one vector under a name that says nothing about it.
fn run_vector(vector: &Vector) -> (Summary, String) {
    let folder = tempdir().unwrap();
    vector.write(&folder.path().join("x.safetensors"));
    run_folder(folder.path())
}

fn passes(vector: &Vector) {
    let (summary, text) = run_vector(vector);
    assert_eq!((summary.passed, summary.failed), (1, 0), "{text}");
    assert!(text.contains("test x ... ok") && text.contains("test result: ok. 1 passed; 0 failed"), "{text}");
}

/// The vector fails, and the report says `why`.
fn fails(vector: &Vector, why: &str) {
    let (summary, text) = run_vector(vector);
    assert_eq!((summary.passed, summary.failed), (0, 1), "{text}");
    assert!(text.contains("test x ... FAILED") && text.contains("test result: FAILED. 0 passed; 1 failed"));
    let failures = text.split_once("failures:").expect("a list of failures").1;
    assert!(failures.contains(why), "`{why}` is not among the failures: {failures}");
}

/// `name` passes, and fails in `quantity` when element `at` of `tensor` is off by `delta`.
fn one_element(name: &str, tensor: &str, at: usize, delta: f64, quantity: &str) {
    let mut vector = Vector::golden(name);
    passes(&vector);
    vector.add(tensor, at, delta);
    fails(&vector, quantity);
}

#[test]
fn ten_tolerances_are_noticed_in_one_element_of_every_kind() {
    one_element("cosine_logsnr_schedule", "logsnr", 700, 10.0 * 1e-9 * 8.0, "logsnr: error");
    one_element("karras_schedule", "sigma", 1, 10.0 * 1e-9, "sigma: error");
    one_element("bias_corrected_ema", "decay_0.9.ema", 5, 10.0 * 1e-9, "decay_0.9: error");
    for name in ["ddpm_unet_uncond", "vp_ddim_sample_cond_both", "edm_heun_ncsnpp"] {
        let deviation = Vector::golden(name).deviation("out");
        one_element(name, "out", 17, 10.0 * 1e-10 * deviation, "\nout: error");
        // Ten tolerances of f32 are noticed twice.
        let f32_sample = 10.0 * 1.3e-4 * deviation;
        one_element(name, "out", 17, f32_sample, "\nf32: out: error");
    }
}

#[test]
fn every_sample_of_a_denoised_batch_is_measured_by_its_own_deviation() {
    // The first sample has the least noise and the least deviation: a tenth of what the whole batch would let pass.
    let deviation = Vector::golden("edm_ncsnpp").deviation("denoised");
    for name in ["edm_ncsnpp", "vp_precond_ddpmpp_cond"] {
        one_element(name, "denoised", 17, 10.0 * 1e-10 * deviation, "denoised (sample 0): error");
    }
}

#[test]
fn what_an_edm_network_is_told_is_noticed() {
    // The third sample of each, where there is enough noise for the network to matter.
    for (name, tensor, at) in [
        ("edm_ncsnpp", "sigma", 2),
        ("edm_ddpmpp_cond", "class_onehot", 20),
        ("edm_ddpmpp_cond", "augment_labels", 18),
        ("edm_adm_cond", "class_onehot", 20),
        ("edm_adm_augment", "augment_labels", 18),
    ] {
        one_element(name, tensor, at, 0.01, "denoised (sample 2): error");
    }
    // Neither classes nor augmentations mean anything to this one.
    for tensor in ["class_onehot", "augment_labels"] {
        let mut vector = Vector::golden("edm_ncsnpp");
        vector.add(tensor, 0, 1.0);
        passes(&vector);
    }
}

#[test]
fn arguments_of_edm_s_networks_are_all_understood_or_refused() {
    for (name, from, to, why) in [
        ("edm_skip", "\"dropout\": 0.0", "\"dropout\": 0.1", "dropout"),
        ("edm_skip", "\"dropout\": 0.0", "\"dropout\": 0.0, \"scale\": 2", "scale"),
        ("edm_adm_cond", "\"dropout\": 0.0", "\"dropout\": 0.0, \"scale\": 2", "scale"),
        ("edm_adm_cond", "DhariwalUNet", "UNet", "model_type `UNet`"),
        ("edm_skip", "\"encoder_type\": \"skip\"", "\"encoder_type\": \"other\"", "other"),
        ("edm_skip", "\"encoder_type\": \"skip\"", "\"encoder_type\": \"standard\"", "params"),
        ("edm_skip", "[1, 3, 3, 1]", "[1, 2, 2, 1]", "denoised"),
        ("edm_ddpmpp_cond", "\"augment_dim\": 9", "\"augment_dim\": 0", "params"),
    ] {
        let mut vector = Vector::golden(name);
        passes(&vector);
        vector.edit("arch_args", |text| text.replacen(from, to, 1));
        fails(&vector, why);
    }
}

#[test]
fn what_is_not_a_number_is_noticed() {
    for (name, tensor) in
        [("karras_schedule", "sigma"), ("bias_corrected_ema", "decay_0.5.values"), ("ddpm_unet_uncond", "x")]
    {
        one_element(name, tensor, 3, f64::NAN, "inf tolerances");
    }
}

#[test]
fn ten_tolerances_are_noticed_in_every_number_of_a_training_step() {
    let original = Vector::golden("vp_tract_uncond");
    passes(&original);
    let unit = 2e-4 * 3.0;
    let conv = "end.student.up.0.resblocks.conv2.weight";
    for (tensor, at, delta, quantity) in [
        ("step2.loss", 0, 10.0 * 1e-10 * original.get("step2.loss", 0), "\nloss (step 2): error"),
        ("step1.grad_norm", 0, 10.0 * 1e-10 * original.get("step1.grad_norm", 0), "\ngrad_norm (step 1)"),
        ("step0.x_after_teacher_step", 40, 10.0 * 1e-10, "x_after_teacher_step"),
        ("step0.x_after_second_step", 40, 10.0 * 1e-10, "x_after_second_step"),
        (
            conv,
            0,
            10.0 * 1e-7 * f64::sqrt(64.0 * 64.0 * 9.0) * unit,
            "student sum (sum of up.0.resblocks.conv2.weight)",
        ),
        (conv, 1, 10.0 * 1e-7 * unit, "student norm (norm of up.0.resblocks.conv2.weight)"),
        (conv, 7, 10.0 * 1e-7 * unit, "student element (element of up.0.resblocks.conv2.weight)"),
    ] {
        let mut vector = original.clone();
        vector.add(tensor, at, delta);
        fails(&vector, quantity);
    }
}

#[test]
fn a_wrong_average_is_noticed_at_the_end() {
    let original = Vector::golden("vp_tract_cond_both");
    passes(&original);
    for (right, wrong) in [
        ("inference_ema", "student"),
        ("inference_ema", "self_teacher"),
        ("self_teacher", "student"),
        ("self_teacher", "inference_ema"),
    ] {
        let mut vector = original.clone();
        vector.copy_probes(wrong, right);
        fails(&vector, &format!("\n{right} element"));
        fails(&vector, &format!("\nmicro-batches of 4: {right} norm"));
    }
}

#[test]
fn another_rate_is_noticed() {
    let original = Vector::golden("vp_tract_uncond");
    for (key, value, quantity) in [
        ("adam_betas", "0.9,0.99", "student element"),
        ("adam_betas", "0.8,0.999", "student element"),
        ("adam_eps", "2e-8", "student element"),
        ("adam_lr", "0.00021", "student element"),
        ("grad_clip_norm", "none", "student element"),
        ("mu_inference", "0.99", "inference_ema element"),
        ("mu_self", "0.51", "self_teacher element"),
        ("phase", "1", "group = "),
        ("student_fill_seed", "13", "loss"),
        ("teacher_fill_seed", "13", "x_after_teacher_step"),
    ] {
        let mut vector = original.clone();
        vector.set(key, value);
        fails(&vector, quantity);
    }
}

/// The largest error among the sharp comparisons of a quantity, in the unit that its tolerance has.
fn error_of(measured: &[Measured], quantity: &str) -> f64 {
    measured.iter().filter(|m| m.quantity == quantity).map(|m| m.error).fold(0.0, f64::max)
}

/// What is changed in a vector.
type Change<'a> = &'a dyn Fn(&mut Vector);

#[test]
fn faults_of_the_program_are_noticed_far_above_a_millionth() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    // Each fault with what shows it most.
    let cases: [(&str, Faults, Change, &str); 4] = [
        (
            "vp_tract_uncond",
            Faults { average_off_by_one: true, ..Faults::default() },
            &|_| {},
            "inference_ema element",
        ),
        // Its phase ends at index 0.
        ("vp_tract_cond_both", Faults { noiseless_end: true, ..Faults::default() }, &|_| {}, "loss"),
        // Adam adds 2e-8 where the reference adds 1e-8.
        ("vp_tract_uncond", Faults::default(), &|v| v.set("adam_eps", "2e-8"), "student element"),
        // A pool that takes one corner of each 2x2 block in the place of their mean.
        (
            "edm_ddpmpp_cond",
            Faults::default(),
            &|v| {
                v.edit("arch_args", |t| {
                    t.replace("\"resample_filter\": [1, 1]", "\"resample_filter\": [2, 0]")
                })
            },
            "denoised",
        ),
    ];
    for (name, faults, change, quantity) in cases {
        let mut vector = Vector::golden(name);
        vector.write(&path);
        let right = error_of(&check_with(&path, Faults::default()).unwrap(), quantity);
        change(&mut vector);
        vector.write(&path);
        let wrong = error_of(&check_with(&path, faults).unwrap(), quantity);
        println!("{name}, {quantity}: {right:.1e} without the fault, {wrong:.1e} with it");
        assert!(right < 1e-8 && wrong > 1e-6, "{name}, {quantity}: {right:e} and {wrong:e}");
    }
}

#[test]
fn what_is_not_known_fails_and_is_named() {
    for (name, key, value, why) in [
        ("ddpm_unet_uncond", "compute", "f16", "compute `f16`"),
        ("karras_schedule", "case", "schedules", "unknown kind of vector: case `schedules`"),
        ("karras_schedule", "schedule", "ve_linear", "schedule `ve_linear`"),
        ("bias_corrected_ema", "rule", "plain", "rule `plain`"),
        ("ddpm_unet_uncond", "family", "dit", "family `dit`"),
        ("vp_tract_uncond", "algo", "consistency", "algo `consistency`"),
        ("vp_tract_uncond", "grad_clip", "none", "unknown gradient rule"),
        ("vp_tract_uncond", "weight_decay", "0.01", "metadata `weight_decay`"),
        ("vp_ddim_sample", "sampler", "DDIM, cosine log-SNR in [-20,20]", "sampler `DDIM, cosine"),
        ("vp_ddim_sample", "eta", "0.5", "metadata `eta`"),
        ("ddpm_unet_uncond", "params", "747492", "params: expected 747492, got 747491"),
        ("ddpm_unet_uncond", "names", "145", "names: expected 145, got 144"),
    ] {
        let mut vector = Vector::golden(name);
        vector.set(key, value);
        fails(&vector, why);
    }
}

#[test]
fn a_remark_changes_nothing() {
    let mut vector = Vector::golden("karras_schedule");
    vector.set("note", "another");
    passes(&vector);
}

#[test]
fn arguments_of_the_network_are_all_understood_or_refused() {
    let original = Vector::golden("ddpm_unet_uncond");
    for (from, to, why) in [
        ("\"dropout\": 0.0", "\"dropout\": 0.1", "dropout"),
        ("\"dropout\": 0.0", "\"dropout\": 0.0, \"scale\": 2", "scale"),
        ("\"num_output\": 1", "\"num_output\": 3", "num_output"),
        ("\"head_dim\": null", "\"head_dim\": 16", "head_dim"),
        ("\"use_affine_time\": true", "\"use_affine_time\": false", "params"),
    ] {
        let mut vector = original.clone();
        vector.edit("arch_args", |text| text.replacen(from, to, 1));
        fails(&vector, why);
    }
}

#[test]
fn what_is_missing_or_left_over_fails_and_is_named() {
    let mut vector = Vector::golden("karras_schedule");
    vector.remove("case");
    fails(&vector, "metadata `case` is missing");
    for (name, from, to) in [
        ("ddpm_unet_uncond", "logsnr", "log_snr"),
        ("vp_ddim_sample", "out", "output"),
        ("vp_ddim_sample_cond_both", "y", "labels"),
        ("vp_tract_uncond", "step1.semi", "step1.substep"),
        ("vp_tract_uncond", "end.student.down.0.bias", "end.student.down.0.offset"),
    ] {
        let mut vector = Vector::golden(name);
        vector.rename(from, to);
        fails(&vector, &format!("tensor `{from}` is missing"));
    }
    // Here a tensor too many is all that is wrong.
    let mut vector = Vector::golden("vp_tract_uncond");
    vector.set("steps", "2");
    fails(&vector, "mean nothing to its check");
}

#[test]
fn a_folder_that_is_missing_or_empty_fails() {
    let folder = tempdir().unwrap();
    for bad in [folder.path().join("none"), folder.path().to_owned()] {
        let (summary, text) = run_folder(&bad);
        assert_eq!((summary.passed, summary.failed), (0, 1), "{text}");
        assert!(text.contains(&bad.display().to_string()), "{text}");
    }
    Vector::golden("karras_schedule").write(&folder.path().join("x.safetensors"));
    let (summary, text) = run_folder(folder.path());
    assert_eq!((summary.passed, summary.failed), (1, 0), "{text}");
}

#[test]
fn the_environment_adds_a_folder_to_the_project_s_own() {
    let folders = |named: Option<&str>| Request::new(named.map(OsStr::new), std::iter::empty()).folders;
    assert_eq!(folders(None).len(), 1);
    let folder = tempdir().unwrap();
    assert_eq!(folders(folder.path().to_str())[1], folder.path());
    // A value that names nothing is kept, to fail.
    for bad in ["", "no/such/folder"] {
        assert_eq!(run_folder(&folders(Some(bad))[1]).0.failed, 1, "{bad}");
    }
    assert!(folders(Some("tests/golden"))[1].is_dir(), "a path from the workspace's root");
}

#[test]
fn filters_leave_out_and_flags_are_passed_over() {
    let args = ["--test-threads", "1", "--nocapture", "karras"].map(String::from);
    let request = Request::new(None, args.into_iter());
    let summary = run(&request, &mut Vec::new()).unwrap();
    assert_eq!((summary.passed, summary.failed), (1, 0));
    assert!(summary.filtered_out > 5, "{summary:?}");
}

#[test]
fn a_file_that_cannot_be_read_fails_alone() {
    let folder = tempdir().unwrap();
    Vector::golden("karras_schedule").write(&folder.path().join("good.safetensors"));
    let bytes = std::fs::read(folder.path().join("good.safetensors")).unwrap();
    std::fs::write(folder.path().join("cut.safetensors"), &bytes[..bytes.len() - 1]).unwrap();
    std::fs::create_dir(folder.path().join("folder.safetensors")).unwrap();
    let (summary, text) = run_folder(folder.path());
    assert_eq!((summary.passed, summary.failed), (1, 2), "{text}");
}
