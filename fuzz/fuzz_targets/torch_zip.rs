//! A torch archive; also any bytes as the pickle of a whole archive, which damage would hardly ever leave whole.
#![no_main]

use fewstep_fuzz::{archive, check, memory::bounded};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check(bounded(bytes, fewstep_formats::read_torch_zip));
    check(bounded(&archive(bytes), fewstep_formats::read_torch_zip));
});
