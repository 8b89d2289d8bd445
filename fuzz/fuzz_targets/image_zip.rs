//! A zip archive of images: its directory, and each file in it read as an image and as labels.
#![no_main]

use fewstep_fuzz::{check_error, check_image};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match fewstep_formats::ImageZip::open(bytes) {
        Ok(zip) => {
            for i in 0..zip.len() {
                let header = zip.header(i);
                let image = zip.read(i);
                if let Ok(image) = &image {
                    assert_eq!(header.ok(), Some(image.header));
                }
                check_image(image);
                if let Err(error) = zip.beginning(i, 32).and_then(|_| zip.labels(i)) {
                    check_error(&error);
                }
            }
        }
        Err(error) => check_error(&error),
    }
});
