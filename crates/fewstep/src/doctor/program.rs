//! The program itself: its version and commit, and the configs that come with it.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Finding;
use crate::config::ready;

pub(super) fn findings() -> Vec<Finding> {
    let configs = ready::folder();
    let commit = configs.as_deref().and_then(Path::parent).and_then(commit);
    let program = std::env::current_exe().map_or_else(|e| e.to_string(), |path| path.display().to_string());
    let version = env!("CARGO_PKG_VERSION");
    let commit = commit.unwrap_or_else(|| "no commit known".to_owned());
    let configs = match configs {
        Some(folder) => {
            let names = ready::names(&folder).join(", ");
            Finding::new("configs", format!("{} has {names}", folder.display()))
        }
        None => Finding::new("configs", "none comes with this program")
            .advise("name a config by its path; without one, `fewstep train` trains on the digits"),
    };
    vec![Finding::new("program", format!("fewstep {version}, {commit}, {program}")), configs]
}

/// The commit: a Python package notes that of its program; a checkout knows what is checked out.
fn commit(home: &Path) -> Option<String> {
    if let Ok(noted) = std::fs::read_to_string(home.join("commit")) {
        return Some(format!("commit {}", noted.trim()));
    }
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]).current_dir(home);
    let output = git.stdin(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    Some(format!("in a checkout of {}", String::from_utf8(output.stdout).ok()?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noted_commit_is_that_of_the_program() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(commit(dir.path()), None);
        std::fs::write(dir.path().join("commit"), "0123456789ab\n").unwrap();
        assert_eq!(commit(dir.path()).as_deref(), Some("commit 0123456789ab"));
    }
}
