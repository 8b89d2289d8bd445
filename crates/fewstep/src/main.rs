//! `fewstep`: distil a diffusion model into a one- or few-step generator, and measure the result.

mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
