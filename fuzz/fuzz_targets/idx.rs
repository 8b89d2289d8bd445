//! An idx array, plain or compressed by gzip.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = fewstep_formats::read_idx(bytes);
});
