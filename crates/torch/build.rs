//! Compiles the shim against the headers of the libtorch that torch-sys found, and sets the run path of tests.

#![allow(clippy::print_stdout)] // printing is how a build script passes instructions to cargo

use std::env;
use std::path::Path;

/// What calls libtorch.
const CALLS: &[&str] = &[
    "shim/shim.cc",
    "shim/norm.cc",
    "shim/optim.cc",
    "shim/meter.cc",
    "shim/profile.cc",
    "shim/workers.cc",
    "shim/nccl.cc",
    "shim/dispatch.cc",
];

/// The loops, and what an object of them is compiled for. libtorch has the same three.
const LOOPS: &str = "shim/kernels.cc";
const BASELINE: (&str, &[&str]) = ("baseline", &[]);
const X86: [(&str, &[&str]); 2] = [
    ("avx2", &["-mavx2", "-mfma"]),
    (
        "avx512",
        &[
            "-mavx512f",
            "-mavx512bw",
            "-mavx512vl",
            "-mavx512dq",
            "-mavx2",
            "-mfma",
            "-mprefer-vector-width=512",
        ],
    ),
];

fn main() {
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    let Ok(lib) = env::var("DEP_TCH_LIBTORCH_LIB") else {
        println!("cargo:warning=torch-sys did not say where libtorch is; run `cargo xtask setup`");
        return;
    };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    let x86 = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64");
    let sets = std::iter::once(BASELINE).chain(X86.into_iter().filter(|_| x86));
    // What calls the loops goes before them on the linker's line.
    calls(Path::new(&lib), x86);
    for (name, flags) in sets {
        loops(name, flags);
    }
}

fn cpp() -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").warnings(false).debug(false);
    build
}

fn calls(lib: &Path, x86: bool) {
    let include = lib.with_file_name("include");
    let mut build = cpp();
    // libtorch's headers lay some classes out in another way for a debug build, which the library is not.
    build.define("NDEBUG", None);
    // Over the headers of c10d, and over those of gloo that the wheel lacks.
    build.define("USE_DISTRIBUTED", None).define("USE_C10D_GLOO", None).include("shim/stubs");
    build.files(CALLS).include(&include).include(include.join("torch/csrc/api/include"));
    if x86 {
        build.define("FEWSTEP_X86", None);
    }
    build.compile("fewstep_shim");
}

fn loops(name: &str, flags: &[&str]) {
    let mut build = cpp();
    build.file(LOOPS).define("FEWSTEP_ISA", name).opt_level(3);
    // Neither is looked at here, and either keeps a loop from vector registers.
    build.flag("-fno-math-errno").flag("-fno-trapping-math");
    for flag in flags {
        build.flag(flag);
    }
    build.compile(&format!("fewstep_loops_{name}"));
}
