//! A PNG image.
#![no_main]

use fewstep_fuzz::check_image;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check_image(fewstep_formats::read_png(bytes));
});
