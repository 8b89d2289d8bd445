//! The torch of a Python that is already there.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fewstep_fetch::process::shown;

/// Finds the package without importing it, which takes seconds.
const FIND: &str = "\
import importlib.util
spec = importlib.util.find_spec('torch')
print(spec.submodule_search_locations[0] if spec and spec.origin else '')";

/// The folder of the package `torch`, given an interpreter, an environment's folder, or that folder itself.
pub(crate) fn torch_folder(python: &Path) -> Result<PathBuf> {
    if python.join("lib").is_dir() && python.join("version.py").is_file() {
        return Ok(std::path::absolute(python)?);
    }
    let interpreter = interpreter(python)?;
    let mut command = Command::new(&interpreter);
    // Away from here: a folder named `torch` beside us would be taken for the package.
    command.args(["-c", FIND]).current_dir("/");
    let output =
        command.output().with_context(|| format!("--python: cannot start {}", interpreter.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("--python: {} failed: {}", shown(&command), said.trim());
    }
    let folder = String::from_utf8(output.stdout).context("--python: a path that is not UTF-8")?;
    match folder.trim() {
        "" => bail!("--python: {} has no torch", interpreter.display()),
        folder => Ok(folder.into()),
    }
}

fn interpreter(python: &Path) -> Result<PathBuf> {
    if python.is_dir() {
        return Ok(std::path::absolute(python.join("bin/python3"))?);
    }
    // A bare name is looked up in PATH.
    if python.components().count() == 1 && !python.exists() {
        return Ok(python.to_path_buf());
    }
    Ok(std::path::absolute(python)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::process;

    /// An environment whose interpreter answers with a fixed line.
    fn environment(root: &Path, answer: &str) {
        let bin = root.join("bin");
        fs::create_dir_all(&bin).unwrap();
        // A shell writes it: were it open for writing in this process, a child forked by another test could hold it open
        // and it could not be started.
        let script = "printf '#!/bin/sh\\necho %s\\n' \"$2\" >\"$1\" && chmod +x \"$1\"";
        let mut shell = Command::new("sh");
        process::run(shell.args(["-c", script, "sh"]).arg(bin.join("python3")).arg(answer)).unwrap();
    }

    #[test]
    fn an_interpreter_an_environment_or_the_package_itself() {
        let folder = tempfile::tempdir().unwrap();
        let torch = folder.path().join("torch");
        environment(folder.path(), torch.to_str().unwrap());
        assert_eq!(torch_folder(folder.path()).unwrap(), torch);
        assert_eq!(torch_folder(&folder.path().join("bin/python3")).unwrap(), torch);
        fs::create_dir_all(torch.join("lib")).unwrap();
        fs::write(torch.join("version.py"), "").unwrap();
        assert_eq!(torch_folder(&torch).unwrap(), torch);
    }

    #[test]
    fn a_python_without_torch_and_a_path_without_python_say_so() {
        let folder = tempfile::tempdir().unwrap();
        environment(folder.path(), "");
        assert!(torch_folder(folder.path()).unwrap_err().to_string().contains("has no torch"));
        let absent = folder.path().join("absent");
        assert!(torch_folder(&absent).unwrap_err().to_string().contains("absent"));
    }
}
