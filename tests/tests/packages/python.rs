//! The Python with the packages to compare with, and its scripts in this folder. Tests of the program share this file.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The interpreter with the packages. Without one the test compares nothing.
pub(crate) fn python() -> Option<PathBuf> {
    let found = env::var_os("FEWSTEP_PYTHON").filter(|found| !found.is_empty());
    if found.is_none() {
        let says = "FEWSTEP_PYTHON names no Python with the packages to compare with: `cargo xtask packages` makes one";
        assert!(env::var("CI").as_deref() != Ok("true"), "{says}");
        // Not by a macro: the output of a test that passes is not shown.
        io::stderr().write_all(format!("nothing is compared: {says}\n").as_bytes()).unwrap();
    }
    found.map(PathBuf::from)
}

/// Gives the cases to a script beside this file, one process for all: it takes seconds to start.
pub(crate) fn compute(python: &Path, script: &str, cases: &[Value]) {
    // The package is that of these tests or the program's.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests =
        package.ancestors().map(|above| above.join("tests/tests/packages")).find(|path| path.is_dir());
    let script = tests.unwrap().join(script);
    let mut command = Command::new(python);
    // A GPU would compute other numbers.
    command.arg(&script).stdin(Stdio::piped()).env("CUDA_VISIBLE_DEVICES", "").env("OMP_NUM_THREADS", "1");
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{}: {e}", python.display()));
    let cases = serde_json::to_vec(cases).unwrap();
    let written = child.stdin.take().unwrap().write_all(&cases);
    let status = child.wait().unwrap();
    // A script that fails at once closes its input; its own message says more.
    assert!(status.success() && written.is_ok(), "{}: {status}", script.display());
}
