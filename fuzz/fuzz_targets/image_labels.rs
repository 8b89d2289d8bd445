//! The labels of a set of images.
#![no_main]

use fewstep_fuzz::check_error;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match fewstep_formats::ImageLabels::parse(bytes) {
        Ok(Some(labels)) => {
            for name in labels.names() {
                assert!(labels.get(name).is_some_and(|label| label < labels.n_classes()));
            }
        }
        Ok(None) => {}
        Err(error) => check_error(&error),
    }
});
