//! Other programs' files through the real program: imported, refused, distilled.
#![allow(missing_docs, clippy::unwrap_used)]

mod program;

use std::path::{Path, PathBuf};
use std::process::Command;

use fewstep_formats::{NamedArray, write_npz};
use fewstep_samplers::{ModelFile, Role};
use fewstep_schedules::{BetaTable, Schedule};
use program::{fail, fewstep, snapshot, succeed};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/import").join(name)
}

/// What `ddpm_unet_zip.pt` cannot say.
const DDPM: [&str; 6] = ["--resolution", "16", "--heads", "1", "--prediction", "x0"];

fn import(file: &Path, out: &Path, args: &[&str]) -> Command {
    let mut command = fewstep();
    command.arg("import").arg(file).arg("--out").arg(out).args(args);
    command
}

#[test]
fn an_imported_file_is_a_model_with_its_origin() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("model.safetensors");
    let text = succeed(import(&golden("ddpm_unet_zip.pt"), &out, &DDPM));
    assert!(text.contains("747491 parameters") && text.contains("ddpm_unet"), "{text}");
    let file = ModelFile::load(&out).unwrap();
    let source = file.card.source.unwrap();
    assert_eq!((file.card.role, file.card.timesteps), (Role::Teacher, 1024));
    assert_eq!((source.file.as_str(), source.entry.as_str()), ("ddpm_unet_zip.pt", ""));
    assert_eq!(source.sha256, "c369a6297f7e29e169348c1bb2614117e74e9e4950def8da62be4e8c92e2f3c0");
    // The flax file holds the same network: the same bytes of parameters.
    let flax = dir.path().join("flax.safetensors");
    succeed(import(&golden("ddpm_unet_flax.msgpack"), &flax, &["--resolution", "16", "--prediction", "x0"]));
    let flax = ModelFile::load(&flax).unwrap();
    assert_eq!((flax.flat, flax.card.model), (file.flat, file.card.model));
    assert_eq!(flax.card.source.unwrap().entry, "ema_params");

    let picture = dir.path().join("a.png");
    let mut sample = fewstep();
    sample.args(["sample", "--n", "2", "--steps", "2"]).arg("--model").arg(&out).arg("--out").arg(&picture);
    succeed(sample);
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn what_a_file_cannot_say_is_asked_for_by_flag() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("model.safetensors");
    let file = golden("ddpm_unet_zip.pt");
    fail(import(&file, &out, &[]), &["ddpm_unet_zip.pt", "--resolution", "--heads", "--prediction"]);
    fail(import(&file, &out, &DDPM[..4]), &["--prediction x0, eps or v"]);
    fail(
        import(&file, &out, &["--resolution", "15", "--heads", "1", "--prediction", "v"]),
        &["resolution", "15"],
    );
    fail(import(&file, &out, &["--resolution", "16", "--heads", "5", "--prediction", "v"]), &["heads", "5"]);
    fail(import(&file, &out, &["--prediction", "w"]), &["--prediction", "`x0`, `eps`, `v`"]);
    let edm = golden("edm_ncsnpp.pkl");
    fail(import(&edm, &out, &["--entry", "net"]), &["`net`", "ema, dataset_kwargs"]);
    fail(import(&edm, &out, &["--preconditioner", "vp"]), &["edm_ncsnpp.pkl", "preconditioner", "Vp"]);
    fail(import(&edm, &out, &["--timesteps", "1"]), &["--timesteps", "at least 2"]);
    fail(import(&edm, &out, &["--schedule", "line"]), &["--schedule", "noise alone"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

fn teacher(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/teachers").join(name).join("model.pt")
}

#[test]
fn files_of_guided_diffusion_and_its_relatives_are_imported_and_sampled() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("model.safetensors");
    let shape = ["--resolution", "16", "--head-channels", "16"];
    let guided = teacher("guided/uncond_updown_sigma");
    let asked = ["--resolution", "--heads", "--attention-order legacy or new", "--trained-as ddpm-linear"];
    fail(import(&guided, &out, &[]), &asked);
    let as_table = ["--attention-order", "legacy", "--trained-as", "ddpm-linear"];
    let text = succeed(import(&guided, &out, &[&shape[..], &as_table].concat()));
    assert!(text.contains("learned variance") && text.contains("1000 steps"), "{text}");
    let card = ModelFile::load(&out).unwrap().card;
    assert_eq!((card.role, card.timesteps, card.visits.len()), (Role::Teacher, 1000, 1001));
    let sample = |n: &str| {
        let mut sample = fewstep();
        sample.args(["sample", "--n", "2", "--steps", n]).arg("--model").arg(&out);
        sample.arg("--out").arg(dir.path().join("a.png"));
        succeed(sample)
    };
    sample("2");
    let as_flow = ["--attention-order", "legacy", "--trained-as", "flow"];
    succeed(import(&teacher("flow/guided_unet"), &out, &[&shape[..], &as_flow].concat()));
    sample("2");
    // A file of consistency models is a teacher unless somebody says that it is a student, which takes one step.
    let consistency = teacher("consistency/edm_cond");
    let text = succeed(import(&consistency, &out, &shape));
    assert!(text.contains("taken for a teacher"), "{text}");
    let card = ModelFile::load(&out).unwrap().card;
    assert_eq!((card.role, card.visits.len(), card.sampler.is_ddim()), (Role::Teacher, 41, false));
    succeed(import(&consistency, &out, &[&shape[..], &["--trained-as", "consistency"]].concat()));
    let card = ModelFile::load(&out).unwrap().card;
    assert_eq!((card.role, card.visits, card.sampler.is_ddim()), (Role::Student, vec![0, 40], true));
    sample("1");
    for (more, parts) in [
        (&["--trained-as", "flow", "--sigma-data", "1"][..], &["--sigma-data", "--trained-as edm"][..]),
        (&["--trained-as", "edm", "--sigma-min", "1"], &["--sigma-min", "--trained-as consistency"]),
        (&["--attention-order", "legacy"], &["attention_order", "four dimensions"]),
        (&["--trained-as", "ddpm"], &["ddpm-linear", "ddpm-cosine"]),
    ] {
        fail(import(&consistency, &out, &[&shape[..], more].concat()), parts);
    }
}

#[test]
fn a_schedule_of_timesteps_has_so_many_steps() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("model.safetensors");
    let (file, betas) = (golden("ddpm_unet_zip.pt"), [&DDPM[..], &["--schedule", "betas"]].concat());
    succeed(import(&file, &out, &betas));
    let card = ModelFile::load(&out).unwrap().card;
    assert_eq!((card.timesteps, card.schedule), (1000, Schedule::Betas(BetaTable::default())));
    fail(
        import(&file, &out, &[&betas[..], &["--timesteps", "1001"]].concat()),
        &["--timesteps", "timesteps"],
    );
}

#[test]
fn hostile_and_damaged_files_are_refused_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("model.safetensors"), b"what stood here").unwrap();
    let before = snapshot(dir.path());
    for (name, global) in [
        ("hostile_os_system.pkl", "`posix.system`"),
        ("hostile_inner_storage.pkl", "`posix.system`"),
        ("hostile_eval_zip.pt", "`__builtin__.eval`"),
    ] {
        let mut command = import(&golden(name), Path::new("model.safetensors"), &DDPM);
        // What their commands would make, they would make here.
        command.current_dir(dir.path());
        fail(command, &[name, global, "nothing of the file was run"]);
    }
    let out = dir.path().join("model.safetensors");
    let damaged = tempfile::tempdir().unwrap();
    let whole = std::fs::read(golden("ddpm_unet_flax.msgpack")).unwrap();
    let file = damaged.path().join("cut.msgpack");
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    fail(import(&file, &out, &[]), &["cut.msgpack", "flax checkpoint"]);
    std::fs::write(&file, b"").unwrap();
    fail(import(&file, &out, &[]), &["cut.msgpack", "not a model file"]);
    fail(import(&damaged.path().join("none.pt"), &out, &[]), &["none.pt"]);
    assert!(snapshot(dir.path()) == before);
    // Nor is the file itself written over, or a model imported twice.
    std::fs::copy(golden("edm_ncsnpp.pkl"), &file).unwrap();
    fail(import(&file, &file, &[]), &["--out", "would be lost"]);
    succeed(import(&file, &out, &[]));
    fail(import(&out, &damaged.path().join("x"), &[]), &["fewstep already"]);
    fail(import(&file, Path::new("no/such/model.safetensors"), &[]), &["no/such/model.safetensors"]);
}

/// A config with no network in it: the teacher's file brings one. The images are 16x16 in color.
fn config(dir: &Path, teacher: &Path, schedule: &str) -> PathBuf {
    const N: usize = 24;
    let pixels: Vec<u8> = (0..N * 3 * 16 * 16).map(|i| (i * i % 251) as u8).collect();
    let images = NamedArray::from_u8("images", &[N, 3, 16, 16], &pixels).unwrap();
    let data = dir.join("images.npz");
    write_npz(&[images], std::fs::File::create(&data).unwrap()).unwrap();
    let text = format!(
        "name = 'one'\n\
         data = {{ kind = 'images', path = {data:?} }}\n\
         teacher.from = {teacher:?}\n\
         training = {{ batch = 4, micro_batch = 2, checkpoint_every = 16 }}\n\
         distill = {{ schedule = {schedule}, samples = 24 }}\n\
         evaluation = {{ samples = 4, batch = 4, grid = 4, teacher_steps = [4] }}\n"
    );
    let path = dir.join("one.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn train(dir: &Path, config: &Path, set: &[&str]) -> Command {
    let mut command = fewstep();
    command.arg("train").arg("--config").arg(config).arg("--runs").arg(dir.join("runs")).args(set);
    command
}

#[test]
fn a_distilled_network_says_its_steps_and_a_wild_number_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("model.safetensors");
    // The file ends with `num_sample_steps`, an int32.
    let mut bytes = std::fs::read(golden("ddpm_unet_flax.msgpack")).unwrap();
    let file = dir.path().join("distilled.msgpack");
    let mut with_steps = |steps: i32| {
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&steps.to_le_bytes());
        std::fs::write(&file, &bytes).unwrap();
        import(&file, &out, &["--resolution", "16", "--prediction", "x0"])
    };
    for wild in [i32::MAX, 50_000_000] {
        fail(with_steps(wild), &["num_sample_steps", "distilled.msgpack", "at most 1048576"]);
        assert!(!out.exists());
    }
    succeed(with_steps(8));
    let card = ModelFile::load(&out).unwrap().card;
    assert_eq!((card.role, card.timesteps, card.visits.len()), (Role::Student, 8, 9));
    // It is a teacher of eight steps and no others.
    let config = config(dir.path(), &out, "[16, 4, 1]");
    fail(train(dir.path(), &config, &[]), &["teacher.from", "student of 8 steps", "has 16 steps"]);
    succeed(train(dir.path(), &config, &["--set=distill.schedule=[8, 1]"]));
}

#[test]
fn an_imported_teacher_is_distilled_by_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let teacher = dir.path().join("teacher.safetensors");
    let config = config(dir.path(), &teacher, "[8, 4, 1]");
    fail(train(dir.path(), &config, &[]), &["teacher.from", "fewstep import", "teacher.safetensors"]);
    std::fs::copy(golden("ddpm_unet_zip.pt"), &teacher).unwrap();
    fail(train(dir.path(), &config, &[]), &["teacher.from", "fewstep import", "teacher.safetensors"]);
    std::fs::remove_file(&teacher).unwrap();
    assert!(!dir.path().join("runs").exists());
    succeed(import(&golden("ddpm_unet_zip.pt"), &teacher, &DDPM));
    let text = succeed(train(dir.path(), &config, &[]));
    assert!(text.contains("phase 2 of 2: 4 -> 1 is done") && text.contains("student at   1 step"), "{text}");
    let (teacher, student) = (
        ModelFile::load(&teacher).unwrap(),
        ModelFile::load(&dir.path().join("runs/one/model.safetensors")).unwrap(),
    );
    assert_eq!((student.card.model, student.card.schedule), (teacher.card.model, teacher.card.schedule));
    assert_eq!((student.card.visits, student.card.source), (vec![0, 8], None));
    assert_ne!(student.flat, teacher.flat);
    // The run's own config says what was run, and is the same run.
    let resolved = dir.path().join("runs/one/config.toml");
    assert!(std::fs::read_to_string(&resolved).unwrap().contains("ddpm_unet"));
    let again = succeed(train(dir.path(), &resolved, &[]));
    assert!(again.contains("continuing from") && !again.contains("8 -> 4 is done"), "{again}");
}

#[test]
fn an_imported_edm_teacher_is_distilled_as_edm_s_code_does() {
    let dir = tempfile::tempdir().unwrap();
    let teacher = dir.path().join("teacher.safetensors");
    succeed(import(&golden("edm_ncsnpp.pkl"), &teacher, &[]));
    let config = config(dir.path(), &teacher, "[8, 1]");
    let text = succeed(train(dir.path(), &config, &[]));
    assert!(text.contains("phase 1 of 1: 8 -> 1 is done"), "{text}");
    let resolved = std::fs::read_to_string(dir.path().join("runs/one/config.toml")).unwrap();
    for part in [
        "karras",
        "solver = \"heun\"",
        "clip_teacher = \"off\"",
        "kind = \"edm\"",
        "reduction = \"mean\"",
        "replace_non_finite",
    ] {
        assert!(resolved.contains(part), "`{part}` is missing in:\n{resolved}");
    }
    // What a config does say is kept; and other levels may be chosen for a network whose file says none.
    let other = [
        "--set=name=other",
        "--set=schedule={ kind = \"karras\", sigma_max = 40.0 }",
        "--set=distill.tract={ solver = \"heun\" }",
    ];
    succeed(train(dir.path(), &config, &other));
    let resolved = std::fs::read_to_string(dir.path().join("runs/other/config.toml")).unwrap();
    assert!(resolved.contains("sigma_max = 40.0") && resolved.contains("reduction = \"sum\""), "{resolved}");
}
