//! A run that is killed again and again ends in the bytes of one that was not.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn outside(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outside"));
    command.arg(folder);
    command
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let (whole, pieces) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let output = outside(whole.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let checkpoints = pieces.path().join("checkpoints");
    let newest = || {
        let names = std::fs::read_dir(&checkpoints).into_iter().flatten().flatten().map(|e| e.file_name());
        names.filter(|name| !name.to_string_lossy().starts_with('.')).max()
    };
    // Killed three times, each time as soon as it has a new checkpoint.
    for _ in 0..3 {
        let before = newest();
        let mut child = outside(pieces.path()).stdout(Stdio::null()).spawn().unwrap();
        while newest() == before && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "it ended before it could be killed");
    }
    let output = outside(pieces.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("continuing from"), "{said}");
    for name in ["teacher.f32", "student.f32"] {
        let read = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
        assert!(read(whole.path()) == read(pieces.path()), "{name}");
    }
}
