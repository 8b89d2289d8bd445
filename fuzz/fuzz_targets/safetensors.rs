//! A safetensors file.
#![no_main]

use fewstep_fuzz::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check(fewstep_formats::read_safetensors(bytes));
});
