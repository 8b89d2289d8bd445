//! An archive of numpy arrays, read as a model and as images.
#![no_main]

use fewstep_formats::NpzArrays;
use fewstep_fuzz::{check, check_error, memory::bounded};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check(bounded(bytes, fewstep_formats::read_npz));
    if let Ok(mut arrays) = NpzArrays::open(bytes, 1 << 20) {
        let names: Vec<String> = arrays.names().map(str::to_owned).collect();
        for name in names {
            match arrays.read(&name) {
                Ok(array) => {
                    array.unwrap();
                }
                Err(error) => check_error(&error),
            }
        }
    }
});
