//! A folder that `fewstep export` wrote, with its card; see `folder` for the form of an input.
#![no_main]

use fewstep_export::read_back;
use fewstep_fuzz_teachers::{bounded, check_message, folder::written};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (folder, _) = written(&String::from_utf8_lossy(bytes));
    if let Err(error) = bounded(|| read_back(&folder)) {
        check_message(&error);
    }
});
