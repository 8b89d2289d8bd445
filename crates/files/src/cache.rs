//! The folder for downloads: one per user, shared by all checkouts.

use std::{env, ffi::OsString, path::PathBuf};

/// `$FEWSTEP_CACHE`, else `fewstep` in `$XDG_CACHE_HOME`, else `~/.cache/fewstep`; `None` without a home. It may not exist.
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    from_variables(set("FEWSTEP_CACHE"), set("XDG_CACHE_HOME"), set("HOME"))
}

fn from_variables(
    fewstep: Option<OsString>,
    xdg: Option<OsString>,
    home: Option<OsString>,
) -> Option<PathBuf> {
    // The XDG specification requires that relative values are ignored.
    let xdg = xdg.map(PathBuf::from).filter(|path| path.is_absolute()).map(|path| path.join("fewstep"));
    let default = || home.map(|home| PathBuf::from(home).join(".cache/fewstep"));
    fewstep.map(PathBuf::from).or(xdg).or_else(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_set_is_taken() {
        let folder = |fewstep: Option<&str>, xdg: Option<&str>, home: Option<&str>| {
            from_variables(fewstep.map(Into::into), xdg.map(Into::into), home.map(Into::into))
        };
        assert_eq!(folder(Some("here"), Some("/x"), Some("/h")), Some("here".into()));
        assert_eq!(folder(None, Some("/x"), Some("/h")), Some("/x/fewstep".into()));
        assert_eq!(folder(None, Some("x"), Some("/h")), Some("/h/.cache/fewstep".into()));
        assert_eq!(folder(None, None, None), None);
    }
}
