//! The run path to libtorch, which fewstep found: without it the program would need LD_LIBRARY_PATH.

fn main() {
    let lib = std::env::var("DEP_FEWSTEP_LIBTORCH").unwrap_or_default();
    println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
}
