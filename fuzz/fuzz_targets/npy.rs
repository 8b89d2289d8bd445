//! A numpy array. An array that is read must survive writing and reading again.
#![no_main]

use fewstep_fuzz::memory::bounded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = bounded(bytes, fewstep_formats::read_npy) {
        let mut written = Vec::new();
        fewstep_formats::write_npy(&array, &mut written).expect("numpy has all types that it wrote");
        assert_eq!(fewstep_formats::read_npy(&written).expect("a whole file"), array);
    }
});
