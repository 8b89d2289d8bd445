//! The checkout this program was built from: where its root is, and which libtorch its builds see.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root folder of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Checkout {
    pub(crate) root: PathBuf,
}

impl Checkout {
    /// Cargo says at run time where the package lies, which stays right when a checkout was moved after the build; a
    /// program started without cargo knows only where it was built.
    pub(crate) fn find() -> Result<Self> {
        let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&package).parent().context("the xtask package lies in no workspace")?;
        Ok(Self { root: root.to_path_buf() })
    }

    /// `./libtorch`, the link that `.cargo/config.toml` shows to builds.
    pub(crate) fn link(&self) -> PathBuf {
        self.root.join("libtorch")
    }

    /// The `LIBTORCH` that the user set. Cargo's `[env]` sets the same variable to [`Self::link`] for every process it
    /// starts, this one included, so a value that names the link is not the user's.
    pub(crate) fn users_libtorch(&self) -> Result<Option<PathBuf>> {
        self.users(env::var_os("LIBTORCH"))
    }

    fn users(&self, value: Option<OsString>) -> Result<Option<PathBuf>> {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
        let path = std::path::absolute(&value)
            .with_context(|| format!("LIBTORCH is {}, which is no path", value.display()))?;
        Ok((!same_entry(&path, &self.link())).then_some(path))
    }
}

/// Whether two paths name the same entry of the same folder. The entry itself is not followed: a link is compared, not
/// what it points to, or a user's LIBTORCH would be forgotten as soon as the link points to it.
fn same_entry(a: &Path, b: &Path) -> bool {
    let folder = |path: &Path| path.parent().and_then(|parent| parent.canonicalize().ok());
    a == b || (a.file_name() == b.file_name() && folder(a).is_some() && folder(a) == folder(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_is_not_the_users_libtorch() {
        let folder = tempfile::tempdir().unwrap();
        let checkout = Checkout { root: folder.path().join("checkout") };
        let elsewhere = folder.path().join("elsewhere");
        std::fs::create_dir_all(&checkout.root).unwrap();
        std::fs::create_dir_all(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, checkout.link()).unwrap();

        assert_eq!(checkout.users(None).unwrap(), None);
        assert_eq!(checkout.users(Some("".into())).unwrap(), None);
        assert_eq!(checkout.users(Some(checkout.link().into())).unwrap(), None);
        let roundabout = folder.path().join("checkout/.cargo/../libtorch");
        std::fs::create_dir_all(checkout.root.join(".cargo")).unwrap();
        assert_eq!(checkout.users(Some(roundabout.into())).unwrap(), None);
        // The folder behind the link, named outright, is the user's choice.
        assert_eq!(checkout.users(Some(elsewhere.clone().into())).unwrap(), Some(elsewhere));
    }
}
