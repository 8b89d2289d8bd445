//! A torch archive; also any bytes as the pickle of a whole archive, which damage would hardly ever leave whole.
#![no_main]

use fewstep_fuzz::{archive, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check(fewstep_formats::read_torch_zip(bytes));
    check(fewstep_formats::read_torch_zip(&archive(bytes)));
});
