//! A whole run of the real program: what it writes, and what can be done with it.
#![allow(missing_docs, clippy::unwrap_used)]

mod program;

use fewstep_samplers::ModelFile;
use fewstep_torch::{Compute, Kind};
use program::{fail, fewstep, model, succeed, train};
use serde_json::Value;

#[test]
fn a_run_writes_everything_it_promises() {
    let dir = tempfile::tempdir().unwrap();
    let text = succeed(train(dir.path()));
    let folder = dir.path().join("tiny");
    for file in ["config.toml", "run.json", "metrics.jsonl", "model.safetensors", "teacher.safetensors"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    for picture in ["data", "teacher", "student"] {
        let png = std::fs::read(folder.join(format!("samples/{picture}.png"))).unwrap();
        assert!(png.starts_with(b"\x89PNG"));
    }
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("frechet[pixels]") && page.matches("data:image/png").count() == 3);
    assert!(!page.contains("FID"), "a number in pixel features is never called FID");
    // The summary has the student at one step, the teacher at both numbers asked for, and the comparison.
    for part in
        ["student at   1 step", "teacher at   1 step", "teacher at  16 steps", "times the teacher's distance"]
    {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    let results: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("results.json")).unwrap()).unwrap();
    let student = &results["measured"][0]["record"];
    assert_eq!(student["score"]["n_generated"], 70);
    assert_eq!(student["score"]["n_reference"]["measured"], 1797);
    assert_eq!(student["generated"]["model"]["nfe"], 1);
    let events = std::fs::read_dir(folder.join("tb")).unwrap().count();
    assert_eq!(events, 1);

    // Once more: nothing is trained or measured again, and the numbers are shown.
    let started = std::time::Instant::now();
    let again = succeed(train(dir.path()));
    assert!(again.contains("student at   1 step"), "{again}");
    assert!(!again.contains("samples/s,"), "{again} {:?}", started.elapsed());
}

#[test]
fn a_student_may_be_a_smaller_network() {
    let dir = tempfile::tempdir().unwrap();
    let network = |channels: u32| {
        format!(
            "--set=student={{network={{kind='ddpm_unet', image_channels=1, resolution=8, channels={channels}, \
             channel_mult=[1], n_res_blocks=1, attention_resolutions=[8], embedding_channels=16}}, prediction='x0'}}"
        )
    };
    let run = |channels: u32, extra: &[&str]| {
        let mut command = train(dir.path());
        command.arg(network(channels)).args(extra);
        command
    };
    let text = succeed(run(8, &["--set=evaluation.every=600", "--set=evaluation.every_samples=8"]));
    assert!(text.contains("times smaller"), "{text}");
    let size = |name: &str| std::fs::metadata(dir.path().join("tiny").join(name)).unwrap().len();
    assert!(2 * size("model.safetensors") < size("teacher.safetensors"));
    // The model stands for itself: it is sampled by what its card says.
    let mut command = fewstep();
    command.args(["sample", "--n", "4", "--model"]).arg(dir.path().join("tiny/model.safetensors"));
    succeed({
        command.arg("--out").arg(dir.path().join("small.png"));
        command
    });
    // Another start is another run, in a folder of its own; so is another network.
    fail(run(8, &["--set=student.start=scratch"]), &["another config", "student.start"]);
    fail(run(12, &[]), &["another config", "student.network.channels"]);
    let scratch = run(8, &["--set=student.start=scratch", "--set=name=scratch"]);
    succeed(scratch);
    assert_ne!(std::fs::read(dir.path().join("scratch/model.safetensors")).unwrap(), model(dir.path()));
    let wrong = run(8, &["--set=student.network.image_channels=3", "--set=name=wrong"]);
    fail(wrong, &["student.network", "[3, 8, 8]", "[1, 8, 8]"]);
}

#[test]
fn a_teacher_from_a_file_is_distilled_without_training_one() {
    let dir = tempfile::tempdir().unwrap();
    succeed(train(dir.path()));
    let teacher = dir.path().join("tiny/teacher.safetensors");
    let runs = dir.path().join("second");
    let from = |extra: &[&str]| {
        let mut command = train(&runs);
        command.arg(format!("--set=teacher.from={teacher:?}")).args(extra);
        command
    };
    fail(from(&["--set=model.prediction=eps"]), &["teacher.from", "another network"]);
    fail(from(&["--set=schedule.kind=linear_beta"]), &["teacher.from", "another schedule", "any_schedule"]);
    // A network answers at any level: TRACT-VE with Heun's method from a variance preserving teacher.
    let heun =
        "--set=distill.tract={solver='heun', clip_teacher='off', weighting={kind='edm', sigma_data=0.5}}";
    let karras = [
        "--set=schedule={kind='karras'}",
        "--set=teacher.any_schedule=true",
        heun,
        "--set=name=ve",
        "--set=evaluation.teacher_steps=[4]",
    ];
    let text = succeed(from(&karras));
    assert!(text.contains("phase 2 of 2: 4 -> 1 is done"), "{text}");
    let text = succeed(from(&[]));
    assert!(text.contains("phase 1 of 2: 16 -> 4 is done") && !text.contains("teacher is done"), "{text}");
    assert!(!runs.join("tiny/teacher.safetensors").exists());
    let made = model(&runs);
    // A config that leaves the network to the teacher's file is the same run: nothing is trained again.
    let mut short = fewstep();
    short.arg("train").arg("--runs").arg(&runs).arg(format!("--set=teacher.from={teacher:?}"));
    short.args(program::TINY.iter().filter(|set| !set.starts_with("--set=model.")));
    let text = succeed(short);
    assert!(text.contains("continuing from") && !text.contains("16 -> 4 is done"), "{text}");
    assert!(model(&runs) == made);
}

#[test]
fn plan_and_dry_run_print_and_write_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    let mut dry = train(&runs);
    dry.arg("--dry-run");
    let output = dry.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for part in ["phase 1 of 2: 16 -> 4: 40 steps, 640 samples", "mu_S 0.5", "parameters", "evaluations"] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    assert!(!runs.exists());
    let mut plan = fewstep();
    plan.arg("plan").args(program::TINY);
    assert_eq!(String::from_utf8(plan.output().unwrap().stdout).unwrap(), text);
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut plan = fewstep();
    plan.arg("plan").args(program::TINY).stdout(writer);
    succeed(plan);
    let mut plan = fewstep();
    plan.arg("plan").args(program::TINY).stdout(std::fs::File::create("/dev/full").unwrap());
    fail(plan, &["standard output", "No space left"]);
}

#[test]
fn one_seed_is_one_image() {
    let dir = tempfile::tempdir().unwrap();
    succeed(train(dir.path()));
    let picture = |name: &str, args: &[&str]| {
        let out = dir.path().join(name);
        let mut command = fewstep();
        command.arg("sample").arg("--model").arg(dir.path().join("tiny/model.safetensors"));
        command.arg("--out").arg(&out).args(args);
        succeed(command);
        std::fs::read(out).unwrap()
    };
    let all = picture("a.png", &["--n", "9", "--batch", "9"]);
    assert_eq!(all, picture("b.png", &["--n", "9", "--batch", "2", "--threads", "1"]));
    assert_ne!(all, picture("c.png", &["--n", "9", "--first-seed", "9"]));
}

#[test]
fn btd_runs_from_the_same_command() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = train(dir.path());
    command.args(["--set=distill.objective=btd", "--set=distill.schedule=[4, 2, 1]"]);
    let text = succeed(command);
    assert!(text.contains("phase 2 of 2: 2 -> 1 is done") && text.contains("student at   1 step"), "{text}");
}

#[test]
fn an_edm_network_is_trained_and_distilled_from_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("edm.toml");
    // Nothing is said of schedule, losses and solver: the network brings EDM's.
    let text = "name = 'edm'\n\
         data.kind = 'digits'\n\
         training = { batch = 16, micro_batch = 8, checkpoint_every = 64 }\n\
         teacher.samples = 320\n\
         distill = { schedule = [8, 4, 1], samples = 320 }\n\
         evaluation = { samples = 20, grid = 9, teacher_steps = [4] }\n\
         [model.network]\n\
         kind = 'song_unet'\n\
         image_channels = 1\n\
         resolution = 8\n\
         channels = 8\n\
         channel_mult = [1, 2]\n\
         n_res_blocks = 1\n\
         attention_resolutions = [4]\n";
    std::fs::write(&config, text).unwrap();
    let run = |set: &[&str]| {
        let mut command = fewstep();
        command.arg("train").arg("--config").arg(&config).arg("--runs").arg(dir.path()).args(set);
        command
    };
    succeed(run(&[]));
    let resolved = std::fs::read_to_string(dir.path().join("edm/config.toml")).unwrap();
    for part in ["karras", "log_normal", "heun", "replace_non_finite"] {
        assert!(resolved.contains(part), "`{part}` is missing in:\n{resolved}");
    }
    // What is said wins, and what stands beside it is still EDM's.
    succeed(run(&["--set=name=other", "--set=distill.tract.reduction=sum"]));
    let resolved = std::fs::read_to_string(dir.path().join("other/config.toml")).unwrap();
    assert!(resolved.contains("heun") && resolved.contains("\"sum\""), "{resolved}");

    let score = |model: &str, flags: &[&str]| {
        let mut command = fewstep();
        command.args(["eval-fid", "--features", "pixels", "--n", "8"]).args(flags);
        command.arg("--model").arg(dir.path().join("edm").join(model));
        command.arg("--out").arg(dir.path().join("score.json"));
        command
    };
    // EDM's sampler, its noise included, for the teacher; the student has its own steps.
    let churn =
        ["--solver", "heun", "--s-churn", "40", "--s-min", "0.05", "--s-max", "50", "--s-noise", "1.003"];
    succeed(score("teacher.safetensors", &churn));
    let record = std::fs::read_to_string(dir.path().join("score.json")).unwrap();
    assert!(record.contains("heun, s_churn 40, s_min 0.05, s_max 50, s_noise 1.003"), "{record}");
    fail(score("model.safetensors", &["--solver", "heun"]), &["--solver heun", "student"]);
    fail(score("teacher.safetensors", &["--s-max", "50"]), &["--s-churn"]);
    let mut third = score("model.safetensors", &[]);
    third.args(["--steps", "3"]);
    fail(third, &["--steps", "divisor"]);
}

#[test]
fn a_student_teaches_only_the_steps_that_it_knows() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = train(dir.path());
    first.args(["--set=name=first", "--set=distill.schedule=[16, 4]"]);
    succeed(first);
    let from = |set: &[&str]| {
        let mut command = train(dir.path());
        let path = dir.path().join("first/model.safetensors");
        command.args(["--set=name=second", "--set=evaluation.teacher_steps=[4]"]);
        command.arg(format!("--set=teacher.from={path:?}")).args(set);
        command
    };
    fail(from(&[]), &["teacher.from", "student of 4 steps", "has 16 steps"]);
    fail(
        from(&["--set=distill.schedule=[4, 1]", "--set=distill.tract.solver=heun"]),
        &["distill.tract.solver", "ddim"],
    );
    fail(
        from(&["--set=distill.schedule=[4, 1]", "--set=evaluation.teacher_steps=[3]"]),
        &["evaluation.teacher_steps", "divisor"],
    );
    let text = succeed(from(&["--set=distill.schedule=[4, 1]"]));
    assert!(text.contains("phase 1 of 1: 4 -> 1 is done"), "{text}");
}

#[test]
fn a_run_in_f64_says_so_wherever_it_counts() {
    let dir = tempfile::tempdir().unwrap();
    let f64_run = || {
        let mut command = train(dir.path());
        command.args(["--set=compute=f64", "--set=teacher.samples=160", "--set=distill.samples=320"]);
        command
    };
    let text = succeed(f64_run());
    assert!(text.contains("computes in f64"), "{text}");
    let run = dir.path().join("tiny");
    let results: Value = serde_json::from_slice(&std::fs::read(run.join("results.json")).unwrap()).unwrap();
    for m in results["measured"].as_array().unwrap() {
        assert_eq!(m["record"]["generated"]["model"]["kind"], "f64");
    }
    let file = ModelFile::load(&run.join("model.safetensors")).unwrap();
    assert_eq!((file.card.compute, file.flat.kind()), (Compute::F64, Kind::Double));
    // The checkpoints are of that kind too, and a run of another kind is another run.
    succeed(f64_run());
    fail(train(dir.path()), &["compute is \"f64\" there"]);
    // A model may be asked in another kind than its own.
    let image = |compute: &str| {
        let out = dir.path().join(compute);
        let mut command = fewstep();
        command
            .args(["sample", "--n", "3", "--compute", compute, "--model"])
            .arg(run.join("model.safetensors"));
        command.arg("--out").arg(&out);
        succeed(command);
        std::fs::read(out.join("00000/img00000002.png")).unwrap()
    };
    assert_eq!(image("f32"), image("f64"), "8 bits hide the difference");
    let mut unknown = fewstep();
    unknown.args(["sample", "--compute", "tf32", "--model"]).arg(run.join("model.safetensors"));
    fail(unknown, &["tf32", "f32 or f64"]);
}
