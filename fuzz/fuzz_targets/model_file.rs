//! A model file whose format is detected from its bytes.
#![no_main]

use fewstep_fuzz::{check, memory::bounded};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check(bounded(bytes, fewstep_formats::read_checkpoint));
});
