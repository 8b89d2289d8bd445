//! The per-user cache that data sets and weights are fetched into.

use std::path::PathBuf;

/// `FEWSTEP_CACHE`, else `fewstep` in the XDG cache folder, else in `~/.cache`; `None` without a home.
pub(crate) fn folder() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    var("FEWSTEP_CACHE")
        .or_else(|| var("XDG_CACHE_HOME").map(|p| p.join("fewstep")))
        .or_else(|| var("HOME").map(|p| p.join(".cache/fewstep")))
}
