//! Whether the libraries load, with all their symbols. A library that does not belong to this machine can end the
//! process that loads it, so this program starts itself again and loads there.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

use super::libtorch::Libtorch;

/// How this program is called again to load a library where a crash does no harm.
pub(crate) const LOAD: &str = "__load";

/// # Errors
/// A library does not load; the message is the loader's own and names the library or symbol that it misses.
pub(crate) fn check(libtorch: &Libtorch) -> Result<()> {
    let output = Command::new(this_program()?)
        .arg(LOAD)
        .args(libtorch.to_load())
        .stdin(Stdio::null())
        .output()
        .context("cannot start this program again")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().trim_start_matches("error: ");
        bail!("{} does not load: {said} ({})", libtorch.root.display(), output.status);
    }
    Ok(())
}

/// The hidden command: loads the libraries one after the other.
pub(crate) fn load(libraries: &[PathBuf]) -> Result<()> {
    for path in libraries {
        // SAFETY: loading runs the library's initialisers, which are as trustworthy as the libtorch the user builds
        // against; should they crash, they take only this process with them.
        #[allow(unsafe_code, reason = "loading is the check")]
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }
            .with_context(|| format!("{} cannot be loaded", path.display()))?;
        // Libraries that others rely on stay; unloading would only run more of their code.
        std::mem::forget(library);
    }
    Ok(())
}

/// Under Linux the running image itself: its path may by now belong to a newer build, or to nothing.
fn this_program() -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    env::current_exe().context("cannot tell where this program lies")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_does_not_load_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libc10.so");
        std::fs::write(&path, "not a library").unwrap();
        let error = format!("{:#}", load(std::slice::from_ref(&path)).unwrap_err());
        assert!(error.contains("libc10.so"), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_library_of_the_system_loads() {
        load(&["libc.so.6".into()]).unwrap();
    }
}
