//! A torch archive. The input is also read as the pickle of a valid archive, because mutations hardly ever keep an archive
//! valid.
#![no_main]

use fewstep_fuzz::{archive, check, memory::bounded};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check(bounded(bytes, fewstep_formats::read_torch_zip));
    check(bounded(&archive(bytes), fewstep_formats::read_torch_zip));
});
