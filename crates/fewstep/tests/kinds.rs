//! Every kind of teacher that comes from other programs, through `train --teacher`: distilled by TRACT and by BTD for a few
//! steps, read again, sampled; and one of them stopped in the middle.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod program;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use fewstep_formats::{NamedArray, read_npy, write_npz};
use fewstep_samplers::{ModelFile, Role};
use fewstep_schedules::Schedule;
use program::{fewstep, log, succeed, terminate};

/// Images in the data set.
const N: usize = 40;
const CLASSES: usize = 10;

/// A teacher of another program.
struct Kind {
    name: &'static str,
    /// Its files, below `tests/golden`.
    files: &'static str,
    /// The flags of `import`; without any, `train --teacher` takes the files themselves.
    flags: &'static [&'static str],
    classes: bool,
    levels: Levels,
}

/// Where its noise levels are, and with them what its steps do.
#[derive(Debug, PartialEq)]
enum Levels {
    Table,
    Line,
    VarianceExploding,
}

fn levels(schedule: &Schedule) -> Levels {
    match schedule {
        Schedule::Line {} => Levels::Line,
        Schedule::Karras { .. } => Levels::VarianceExploding,
        _ => Levels::Table,
    }
}

const GUIDED: &[&str] =
    &["--resolution=16", "--head-channels=16", "--attention-order=legacy", "--trained-as=ddpm-linear"];
const FLOW: &[&str] =
    &["--resolution=16", "--head-channels=16", "--attention-order=legacy", "--trained-as=flow"];
const GUIDED_BY_CLASS: &[&str] =
    &["--resolution=16", "--heads=4", "--attention-order=new", "--trained-as=ddpm-cosine"];

fn kinds() -> Vec<Kind> {
    let kind = |name, files, flags, classes, levels| Kind { name, files, flags, classes, levels };
    vec![
        kind("diffusers", "teachers/diffusers/ddpm_cifar_style", &[], false, Levels::Table),
        kind("clip_range", "teachers/diffusers/resnet_blocks", &[], false, Levels::Table),
        kind("by_class", "teachers/diffusers/v_zero_snr_cond", &[], true, Levels::Table),
        kind("guided", "teachers/guided/uncond_updown_sigma/model.pt", GUIDED, false, Levels::Table),
        kind(
            "guided_by_class",
            "teachers/guided/cond_new_order/model.pt",
            GUIDED_BY_CLASS,
            true,
            Levels::Table,
        ),
        kind(
            "consistency",
            "teachers/consistency/edm_cond/model.pt",
            &["--resolution=16", "--head-channels=16"],
            true,
            Levels::VarianceExploding,
        ),
        kind(
            "lucidrains",
            "teachers/lucidrains/pred_v_sigmoid/model-1.pt",
            &["--resolution=16"],
            false,
            Levels::Table,
        ),
        kind("flow", "teachers/flow/guided_unet/model.pt", FLOW, false, Levels::Line),
        kind("edm", "import/edm_ncsnpp.pkl", &[], false, Levels::VarianceExploding),
    ]
}

/// Images in color with or without labels, as an archive.
fn data(dir: &Path, classes: bool) -> PathBuf {
    let pixels: Vec<u8> = (0..N * 3 * 16 * 16).map(|i| (i * i % 251) as u8).collect();
    let mut arrays = vec![NamedArray::from_u8("images", &[N, 3, 16, 16], &pixels).unwrap()];
    if classes {
        let labels: Vec<u8> = (0..N).map(|i| (i % CLASSES) as u8).collect();
        arrays.push(NamedArray::from_u8("labels", &[N], &labels).unwrap());
    }
    let path = dir.join(if classes { "with_classes.npz" } else { "images.npz" });
    write_npz(&arrays, std::fs::File::create(&path).unwrap()).unwrap();
    path
}

/// What `train --teacher` takes: the files, or a model file of them.
fn teacher(kind: &Kind, dir: &Path) -> PathBuf {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(kind.files);
    if kind.flags.is_empty() {
        return files;
    }
    let out = dir.join(format!("{}.safetensors", kind.name));
    let mut import = fewstep();
    import.arg("import").arg(files).arg("--out").arg(&out).args(kind.flags);
    succeed(import);
    out
}

/// The command that distils it, four steps to two to one, and the run's folder.
fn train(teacher: &Path, data: &Path, runs: &Path, set: &[&str]) -> (Command, PathBuf) {
    let mut command = fewstep();
    command.args(["train", "--steps", "1", "--teacher"]).arg(teacher).arg("--data").arg(data);
    command.arg("--runs").arg(runs).args([
        "--set=distill.schedule=[4, 2, 1]",
        "--set=distill.samples=24",
        "--set=training={ batch = 4, micro_batch = 2, checkpoint_every = 8 }",
        "--set=evaluation={ samples = 4, batch = 4, grid = 4, teacher_steps = [2] }",
    ]);
    command.args(set);
    let name = teacher.file_stem().unwrap().to_str().unwrap().to_owned() + "_1";
    (command, runs.join(name))
}

/// The images of a model, which are finite and not all alike.
fn sample(model: &Path) -> Vec<f64> {
    let out = model.with_file_name("x.npy");
    let mut command = fewstep();
    command.args(["sample", "--n", "3", "--model"]).arg(model).arg("--out").arg(&out);
    succeed(command);
    let array = read_npy(&std::fs::read(out).unwrap()).unwrap();
    assert_eq!(array.shape, [3, 3, 16, 16]);
    let images = array.to_f64();
    assert!(images.iter().all(|x| x.is_finite()) && images.iter().any(|x| *x != images[0]));
    images
}

#[test]
fn every_kind_of_teacher_is_distilled_by_every_objective() {
    let dir = tempfile::tempdir().unwrap();
    let images = [data(dir.path(), false), data(dir.path(), true)];
    for kind in kinds() {
        let started = Instant::now();
        let teacher = teacher(&kind, dir.path());
        let mut students = Vec::new();
        for objective in ["tract", "btd"] {
            let runs = dir.path().join(format!("{}_{objective}", kind.name));
            let set = format!("--set=distill.objective={objective}");
            let (command, run) = train(&teacher, &images[usize::from(kind.classes)], &runs, &[&set]);
            let text = succeed(command);
            assert!(text.contains("phase 2 of 2: 2 -> 1 is done"), "{}, {objective}: {text}", kind.name);
            let path = run.join("model.safetensors");
            let file = ModelFile::load(&path).unwrap();
            let card = file.card;
            assert_eq!((card.role, card.own_steps()), (Role::Student, 1), "{}", kind.name);
            assert_eq!(levels(&card.schedule), kind.levels, "{}", kind.name);
            let classes = if kind.classes { CLASSES as i64 } else { 0 };
            assert_eq!(file.network.n_classes(), classes, "{}", kind.name);
            students.push(sample(&path));
        }
        assert_ne!(students[0], students[1], "{}", kind.name);
        println!("{}: {:.1} s", kind.name, started.elapsed().as_secs_f64());
    }
}

#[test]
fn a_run_from_another_program_s_teacher_goes_on_where_it_was_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let images = data(dir.path(), true);
    let kind = kinds().into_iter().find(|kind| kind.name == "by_class").unwrap();
    let teacher = teacher(&kind, dir.path());
    let start = |runs: &str| {
        let set = ["--set=distill.samples=240", "--set=training.log_every=4"];
        train(&teacher, &images, &dir.path().join(runs), &set)
    };
    let (command, whole) = start("whole");
    succeed(command);
    let (command, run) = start("pieces");
    let metrics = run.join("metrics.jsonl");
    let output = terminate(command, || std::fs::metadata(&metrics).is_ok_and(|m| m.len() > 0));
    assert_eq!(output.status.code(), Some(130), "{}", log(&output));
    assert!(!run.join("model.safetensors").exists());
    let text = succeed(start("pieces").0);
    assert!(text.contains("going on with") && text.contains("continuing from"), "{text}");
    let model = |run: &Path| std::fs::read(run.join("model.safetensors")).unwrap();
    assert!(model(&run) == model(&whole));
}
