//! Build script shared by every package that links libtorch: link arguments do not propagate to dependents, so each
//! executable (tests count) asks for the run path itself. `DEP_TCH_LIBTORCH_LIB` reaches direct dependents of
//! `torch-sys` only, which is why these packages name it.
//!
//! A package outside that depends on `fewstep` reads the same folder from `DEP_FEWSTEP_LIBTORCH`, and asks for its run path
//! in a build script of its own: examples/outside has one.

#![allow(clippy::print_stdout)] // a build script speaks to cargo by printing

fn main() {
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        println!("cargo:libtorch={lib}");
    }
}
