//! Compiles the shim against the headers of the libtorch that torch-sys found, and sets the run path of tests.

#![allow(clippy::print_stdout)] // printing is how a build script passes instructions to cargo

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") else {
        println!("cargo:warning=torch-sys did not say where libtorch is; run `cargo xtask setup`");
        return;
    };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    let include = Path::new(&lib).with_file_name("include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("shim/shim.cc")
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .warnings(false)
        .debug(false)
        .compile("fewstep_shim");
    workers(&include);
}

/// The shim for several processes: over the headers of c10d, and over those of gloo that the wheel lacks.
fn workers(include: &Path) {
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("shim/workers.cc")
        .file("shim/nccl.cc")
        .define("USE_DISTRIBUTED", None)
        .define("USE_C10D_GLOO", None)
        .include("shim/stubs")
        .include(include)
        .include(include.join("torch/csrc/api/include"))
        .warnings(false)
        .debug(false)
        .compile("fewstep_workers");
}
