//! Packages of npm.

use std::path::PathBuf;

use super::session::Session;
use crate::error::Result;
use crate::process;

/// The tarball of a package, whose scripts are not run.
///
/// # Errors
/// npm is not there, fails or leaves nothing.
pub fn tarball(session: &Session, package: &str, version: &str) -> Result<PathBuf> {
    let file = format!("{package}-{version}.tgz");
    let target = session.downloads().join(&file);
    if target.exists() {
        return Ok(target);
    }
    let requirement = format!("{package}@{version}");
    let mut command = session.client("npm");
    command.args(["pack", "--ignore-scripts", "--loglevel=error", &requirement]);
    // Its own cache would keep a second copy; here it is removed with the working folder, and can be watched.
    command.args(["--cache", "npm-cache"]);
    // As patient as curl: by default it takes minutes to see that the network is closed.
    process::default_env(&mut command, "npm_config_fetch_retries", "1");
    process::default_env(&mut command, "npm_config_fetch_retry_mintimeout", "1000");
    session.leaves(&mut command, &format!("npm pack {requirement}"), |name| name == file)
}
