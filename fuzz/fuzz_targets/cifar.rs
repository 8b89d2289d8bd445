//! A CIFAR-10 batch.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = fewstep_formats::read_cifar10(bytes);
});
