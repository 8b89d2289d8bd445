//! Checks and builders that several fuzz targets use.

pub mod memory;

use std::io::{Cursor, Write};

use fewstep_formats::{Checkpoint, Error, Image, Result};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Asserts what must hold for every checkpoint: each array has as many bytes as its shape and dtype say.
pub fn check(result: Result<Checkpoint>) {
    match result {
        Ok(checkpoint) => {
            for array in &checkpoint.arrays {
                let n: usize = array.shape.iter().product();
                assert_eq!(n * array.dtype.size(), array.data.len(), "{}", array.name);
            }
        }
        Err(error) => check_error(&error),
    }
}

/// Asserts what must hold for every image: as many pixel bytes as its header says.
pub fn check_image(result: Result<Image>) {
    match result {
        Ok(image) => assert_eq!(image.header.n_bytes(), image.pixels.len()),
        Err(error) => check_error(&error),
    }
}

/// Formats the message of an error: it quotes the file, so formatting must be as safe as reading.
pub fn check_error(error: &Error) {
    assert!(error.to_string().len() < 10_000);
}

/// Builds a torch archive from a pickle and two storages of 64 and 16 bytes.
pub fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, contents) in [("x/data.pkl", pickle), ("x/data/0", &[7; 64]), ("x/data/1", &[8; 16])] {
        archive.start_file(name, stored).expect("a fresh name");
        archive.write_all(contents).expect("memory takes all");
    }
    archive.finish().expect("memory takes all").into_inner()
}
