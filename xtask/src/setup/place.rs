//! Where in the cache a libtorch is.

use std::path::PathBuf;

use fewstep_fetch::Cache;

use super::Flavour;
use super::libtorch::VERSION;

/// The folder that a source fills.
pub(crate) fn filled(cache: &Cache, flavour: Flavour) -> PathBuf {
    let suffix = match flavour {
        Flavour::Cpu => "cpu",
        Flavour::Cuda => "cuda",
    };
    cache.root().join(format!("libtorch-{VERSION}-{suffix}"))
}

/// The folder that is a libtorch once [`filled`] is.
pub(crate) fn torch(cache: &Cache, flavour: Flavour) -> PathBuf {
    // Joining an empty path would leave a slash at the end.
    filled(cache, flavour).join(within(flavour)).components().collect()
}

/// Where in a filled folder the libtorch is: the packages with CUDA keep it beside NVIDIA's libraries.
pub(crate) fn within(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Cpu => "",
        Flavour::Cuda => "torch",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_have_the_names_that_other_checkouts_expect() {
        let cache = Cache::at("/c".as_ref()).unwrap();
        assert_eq!(torch(&cache, Flavour::Cpu).as_os_str(), "/c/libtorch-2.11.0-cpu");
        assert_eq!(torch(&cache, Flavour::Cuda).as_os_str(), "/c/libtorch-2.11.0-cuda/torch");
    }
}
