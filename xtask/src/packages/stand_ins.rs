//! Empty libraries in the place of NVIDIA's, for a torch that is built for CUDA and runs on the CPU.
//!
//! The Python index has no other wheel of torch for Linux. Loading it asks for ten of NVIDIA's libraries, 2.7 GB with what
//! they need, of which nothing is called on the CPU. A library without functions in each one's place is enough where
//! functions are looked up when they are called and not when libraries are loaded, which a line in the environment's own
//! `.pth` file says to Python. Calling one is then an error, as it would be without a GPU.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process;

/// The libraries that `libtorch_cuda.so` and `libtorch_nvshmem.so` of 2.11.0 need, but for the CUDA runtime and CUPTI: the CPU half
/// needs those as well, for real.
const LIBRARIES: [&str; 10] = [
    "libcublas.so.13",
    "libcublasLt.so.13",
    "libcudnn.so.9",
    "libcufft.so.12",
    "libcufile.so.0",
    "libcurand.so.10",
    "libcusparse.so.12",
    "libcusparseLt.so.0",
    "libnccl.so.2",
    "libnvshmem_host.so.3",
];

/// Python executes a line of such a file that begins with `import`.
const LAZY: &str = "import os, sys; sys.setdlopenflags(os.RTLD_LAZY)\n";

/// Makes them beside the libraries of the package in the folder `torch`.
pub(super) fn make(torch: &Path) -> Result<()> {
    let packages = torch.parent().context("the package torch lies in no folder")?;
    for library in LIBRARIES {
        let mut compiler = Command::new(env::var_os("CXX").unwrap_or_else(|| "c++".into()));
        compiler.args(["-shared", "-x", "c++", "/dev/null", "-o"]).arg(torch.join("lib").join(library));
        process::run(compiler.arg(format!("-Wl,-soname,{library}")).stdin(Stdio::null()))?;
    }
    let file = packages.join("fewstep.pth");
    fs::write(&file, LAZY).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_library_is_made_under_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let torch = folder.path().join("torch");
        fs::create_dir_all(torch.join("lib")).unwrap();
        make(&torch).unwrap();
        for library in LIBRARIES {
            let bytes = fs::read(torch.join("lib").join(library)).unwrap();
            assert!(
                bytes.starts_with(b"\x7fELF")
                    && bytes.windows(library.len()).any(|w| w == library.as_bytes())
            );
        }
        assert!(folder.path().join("fewstep.pth").is_file());
    }
}
