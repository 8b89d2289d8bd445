//! The Python package that `cargo xtask wheel` makes: installed by pip beside a torch and nothing else, and started as its users
//! start it, without a variable that says where libtorch is.
//!
//! The torch is that of the Python that `FEWSTEP_PYTHON` names, as for the tests of the package `fewstep-tests`; without one
//! nothing is tested. It is linked into fresh environments, where nothing else of that Python can be reached.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod program;
#[path = "../../../tests/tests/packages/python.rs"]
#[allow(dead_code)] // of its scripts this test runs none
mod python;

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use program::{BRIEF, TINY, log, stdout};
use python::python;

/// Says where an interpreter has a package, or nothing.
const FIND: &str = "import importlib.util, sys
for name in sys.argv[1:]:
    spec = importlib.util.find_spec(name)
    print(spec.submodule_search_locations[0] if spec else '')";

/// A fresh environment with the wheel in it.
struct Environment {
    folder: PathBuf,
    packages: PathBuf,
}

impl Environment {
    /// Its installer is that of `python`, as fresh environments with one take seconds.
    fn new(folder: PathBuf, python: &Path, wheel: &Path) -> Self {
        run(Command::new(python).args(["-m", "venv", "--without-pip"]).arg(&folder));
        let interpreter = folder.join("bin/python3");
        let where_to = "import sysconfig; print(sysconfig.get_path('purelib'))";
        let packages = run(Command::new(&interpreter).args(["-c", where_to]));
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "--quiet", "--python"]).arg(&interpreter);
        run(pip.args(["install", "--no-deps", "--no-index"]).arg(wheel));
        Self { folder, packages: packages.trim().into() }
    }

    /// The installed program, started from elsewhere, without any variable of this test.
    fn fewstep(&self) -> Command {
        let mut command = Command::new(self.folder.join("bin/fewstep"));
        self.alone(&mut command);
        command
    }

    /// As `python -m fewstep`.
    fn module(&self) -> Command {
        let mut command = Command::new(self.folder.join("bin/python3"));
        command.args(["-m", "fewstep"]);
        self.alone(&mut command);
        command
    }

    fn alone(&self, command: &mut Command) {
        // A GPU would take seconds to start.
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("CUDA_VISIBLE_DEVICES", "")
            .env("HOME", &self.folder);
        command.current_dir(&self.folder);
    }

    /// The torch that `python` has, and what NVIDIA's packages beside it hold.
    fn link_torch(&self, torch: &Path) {
        symlink(torch, self.packages.join("torch")).unwrap();
        let nvidia = torch.with_file_name("nvidia");
        if nvidia.is_dir() {
            symlink(nvidia, self.packages.join("nvidia")).unwrap();
        }
    }

    /// A package that looks like torch to whoever does not load it.
    fn fake_torch(&self, version: &str) {
        let torch = self.packages.join("torch");
        fs::create_dir_all(torch.join("lib")).unwrap();
        fs::write(torch.join("__init__.py"), "raise SystemExit('torch was imported')").unwrap();
        fs::write(torch.join("version.py"), format!("__version__ = '{version}'\ndebug = False\n")).unwrap();
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}:\n{}", log(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The command that makes wheels, of the program under test.
fn make(out: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["xtask", "wheel", "--program", env!("CARGO_BIN_EXE_fewstep"), "--out"]).arg(out);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command
}

/// One sentence of the launcher, and failure.
fn refused(mut command: Command, parts: &[&str]) {
    let output = command.output().unwrap();
    let said = log(&output);
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(parts.iter().all(|part| said.contains(part)), "{parts:?} in: {said}");
}

#[test]
fn a_python_with_torch_runs_the_wheel() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = run(&mut make(&dir.path().join("out")));
    let wheel = PathBuf::from(path.trim());
    assert!(wheel.ends_with(format!(
        "fewstep-{}-py3-none-{}.whl",
        env!("CARGO_PKG_VERSION"),
        platform(&wheel)
    )));
    assert_eq!(fs::read_dir(dir.path().join("out")).unwrap().count(), 1, "nothing but the wheel");
    let nowhere = make(Path::new("/proc/no/such")).output().unwrap();
    assert!(!nowhere.status.success() && log(&nowhere).contains("--out"), "{}", log(&nowhere));

    let torch = run(Command::new(&python).args(["-c", FIND, "torch"]).current_dir("/"));
    let torch = PathBuf::from(torch.trim());
    let with = Environment::new(dir.path().join("with"), &python, &wheel);
    with.link_torch(&torch);
    only_torch(&with);
    names_no_machine(&with);
    works(&with, &torch);
    works_from_a_folder_of_packages(&with, &python, &wheel);

    let without = Environment::new(dir.path().join("without"), &python, &wheel);
    refuses(&without);
}

/// The platform in the name of a wheel.
fn platform(wheel: &Path) -> String {
    let name = wheel.file_stem().unwrap().to_str().unwrap();
    let platform = name.rsplit('-').next().unwrap();
    assert!(platform.starts_with("manylinux_2_") && platform.ends_with(env::consts::ARCH), "{platform}");
    platform.to_owned()
}

fn only_torch(environment: &Environment) {
    let mut interpreter = Command::new(environment.folder.join("bin/python3"));
    environment.alone(&mut interpreter);
    let found = run(interpreter.args(["-c", FIND, "torch", "fewstep", "numpy", "diffusers", "pip"]));
    let found: Vec<&str> = found.lines().collect();
    assert!(found.len() == 5 && !found[0].is_empty() && !found[1].is_empty(), "{found:?}");
    assert_eq!(found[2..], ["", "", ""]);
}

/// Nothing in the program says where it was built, and no run path leads there.
fn names_no_machine(environment: &Environment) {
    let program = fs::read(environment.packages.join("fewstep/bin/fewstep")).unwrap();
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let built = fs::read(env!("CARGO_BIN_EXE_fewstep")).unwrap();
    let libtorch = env::var("LIBTORCH").unwrap();
    for text in [libtorch.as_str(), "/registry/src/"] {
        assert!(holds(&built, text) && !holds(&program, text), "{text}");
    }
    assert!(!holds(&program, env!("CARGO_MANIFEST_DIR")));
}

fn works(environment: &Environment, torch: &Path) {
    let say = |args: &[&str]| {
        let mut command = environment.fewstep();
        command.args(args);
        command
    };
    assert!(stdout(say(&["plan", "--config", "cifar10_mini"])).contains("cifar10_mini"));
    run(say(&["train", "--runs", "runs"]).args(TINY).args(BRIEF));
    run(&mut say(&["sample", "--model", "runs/tiny/model.safetensors", "--n", "4", "--out", "four.png"]));
    assert!(environment.folder.join("four.png").is_file());

    // Whatever libtorch the user's variable leads to, that of the package comes first.
    let mut elsewhere = say(&["doctor"]);
    elsewhere.env("LD_LIBRARY_PATH", Path::new(&env::var_os("LIBTORCH").unwrap_or_default()).join("lib"));
    let lib = torch.canonicalize().unwrap().join("lib");
    let configs = environment.packages.join("fewstep/configs");
    for doctor in [say(&["doctor"]), elsewhere] {
        let said = stdout(doctor);
        let libtorch = format!("loaded from {}; built with", lib.display());
        for part in
            [&libtorch, "commit ", "OMP_WAIT_POLICY is PASSIVE", &format!("{} has ", configs.display())]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let mut module = environment.module();
    assert!(run(module.arg("--version")).starts_with("fewstep "));
    // Exit codes are the program's own.
    let unknown: Output = say(&["no-such-command"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}

/// As after `pip install --target`.
fn works_from_a_folder_of_packages(environment: &Environment, python: &Path, wheel: &Path) {
    let folder = environment.folder.join("packages of mine");
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "--quiet", "install", "--no-deps", "--no-index", "--target"]).arg(&folder);
    run(pip.arg(wheel));
    let mut module = environment.module();
    module.env("PYTHONPATH", &folder).arg("doctor");
    assert!(stdout(module).contains(&folder.join("fewstep/configs").display().to_string()));
}

fn refuses(environment: &Environment) {
    let needs = "torch 2.11.0 is needed";
    let types = "-m pip install torch==2.11.0`";
    refused(environment.fewstep(), &["no torch is installed", needs, types]);
    // A folder of this name where the program is started is not the package.
    fs::create_dir(environment.folder.join("torch")).unwrap();
    refused(environment.module(), &["no torch is installed", needs]);
    environment.fake_torch("2.12.1+cu130");
    refused(environment.fewstep(), &["is 2.12.1+cu130", "site-packages/torch", needs, types]);
    environment.fake_torch("2.11.0+cpu");
    refused(environment.fewstep(), &["has no libtorch_cpu.so", needs, types]);
    fs::write(environment.packages.join("torch/lib/libtorch_cpu.so"), "").unwrap();
    let program = environment.packages.join("fewstep/bin/fewstep");
    // As of another processor.
    run(Command::new("cp").arg("/dev/null").arg(&program));
    fs::write(&program, b"\x7fELF of another machine").unwrap();
    refused(environment.fewstep(), &["cannot be started on this machine", "built for manylinux_2_"]);
}
