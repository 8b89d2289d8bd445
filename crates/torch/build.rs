//! Compiles the shim against the headers of the libtorch that torch-sys found, and sets the run path of tests.

#![allow(clippy::print_stdout)] // printing is how a build script passes instructions to cargo
#![allow(clippy::panic)] // and panicking is how it fails

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// What calls libtorch.
const CALLS: &[&str] = &[
    "shim/shim.cc",
    "shim/norm.cc",
    "shim/norm_gpu.cc",
    // Linked by tests alone.
    "shim/norm_emulated.cc",
    "shim/nvrtc.cc",
    "shim/optim.cc",
    "shim/meter.cc",
    "shim/profile.cc",
    "shim/workers.cc",
    "shim/nccl.cc",
    "shim/dispatch.cc",
];

/// What NVRTC compiles at run time, and the name that the shim has for its text.
const TEXTS: [(&str, &str); 2] = [("NORM_CU", "shim/norm.cu"), ("NORM_ARGS_H", "shim/norm_args.h")];

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

/// Writes the texts into a header of constants, and gives its folder.
fn texts() -> PathBuf {
    let folder = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let constant = |(name, file): (&str, &str)| {
        let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{file}: {e}"));
        format!("static const char {name}[] = R\"text({text})text\";\n")
    };
    let header = folder.join("texts.h");
    let written = fs::write(&header, TEXTS.map(constant).concat());
    written.unwrap_or_else(|e| panic!("{}: {e}", header.display()));
    folder
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
    build.files(CALLS).include(texts()).include(&include).include(include.join("torch/csrc/api/include"));
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
