//! The digits data set as text, plain or compressed by gzip.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = fewstep_formats::read_digits(bytes);
});
