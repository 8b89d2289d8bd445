//! Files of denoising_diffusion_pytorch, alone and as a `Trainer` saves them; see `state` for the form of an input.
#![no_main]

use fewstep_fuzz_teachers::{import, state::checkpoint};
use fewstep_import::recognise;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (file, request) = checkpoint(&String::from_utf8_lossy(bytes));
    import(|| recognise(&file, &request.hints));
});
