//! CIFAR-10: a folder with the `.bin` batches of the authors' binary version.

use std::path::{Path, PathBuf};

use fewstep_formats::{cifar, read_cifar10};

use crate::{
    dataset::ImageShape,
    error::{Error, Result},
    found::find,
    in_memory::InMemory,
    published::{self, check_bytes},
    split::Split,
};

/// Name of the folder inside the authors' archive.
const ARCHIVE_FOLDER: &str = "cifar-10-batches-bin";

/// Opens CIFAR-10 in `folder` or in `folder/cifar-10-batches-bin`: images `[3, 32, 32]`, ten classes. The training
/// split is the five batches in order.
///
/// With `verify`, every file must have the md5 sum that the authors publish; without, any whole number of records is
/// accepted.
///
/// # Errors
/// [`Error::Missing`], [`Error::Read`], [`Error::Digest`] and [`Error::Format`] name the file; [`Error::Invalid`] if
/// the files contain no image.
pub fn open_cifar10(folder: &Path, split: Split, verify: bool) -> Result<InMemory> {
    let mut labels = Vec::new();
    let mut pixels = Vec::new();
    for file in *split.of(&published::CIFAR10_TRAIN, &published::CIFAR10_TEST) {
        let (path, bytes) = read(folder, file.name)?;
        if verify {
            check_bytes(&path, &bytes, file.digest)?;
        }
        let batch = read_cifar10(&bytes).map_err(|source| Error::Format { path, source })?;
        labels.extend(batch.labels.into_iter().map(u32::from));
        pixels.extend_from_slice(&batch.pixels);
    }
    let shape = ImageShape { c: 3, h: 32, w: 32 };
    InMemory::new(
        format!("cifar10 {}", split.name()),
        shape,
        pixels,
        Some(labels),
        usize::from(cifar::N_CLASSES),
    )
}

fn read(folder: &Path, file: &str) -> Result<(PathBuf, Vec<u8>)> {
    for place in [folder.to_owned(), folder.join(ARCHIVE_FOLDER)] {
        if let Some(found) = find(&place, &[file.to_owned()])? {
            return Ok(found);
        }
    }
    let hint = "`cargo xtask fetch cifar10` puts the files into the cache; or unpack the authors' binary version \
                (cifar-10-binary.tar.gz) there, or set `path` to a folder that has it";
    Err(Error::Missing { path: folder.join(file), hint: hint.to_owned() })
}
