//! MNIST and Fashion-MNIST: a folder with an idx file of images and one of labels for each split, plain or `.gz`.

use std::{
    io,
    path::{Path, PathBuf},
};

use fewstep_formats::{IdxArray, read_idx};

use crate::{
    dataset::ImageShape,
    error::{Error, Result},
    in_memory::InMemory,
    published::{self, IdxPair, check_idx},
    split::Split,
};

const N_CLASSES: usize = 10;

/// MNIST in `folder`: `[1, 28, 28]`, ten classes.
///
/// With `verify`, the contents must be the published ones; without, any idx pair of those names will do.
///
/// # Errors
/// [`Error::Missing`], [`Error::Read`], [`Error::Format`], [`Error::Shape`], [`Error::Digest`] and [`Error::Count`] name
/// the file; [`Error::Invalid`] for a label above 9 or no images.
pub fn open_mnist(folder: &Path, split: Split, verify: bool) -> Result<InMemory> {
    let pair = split.of(&published::MNIST_TRAIN, &published::MNIST_TEST);
    open("mnist", folder, split, pair, verify)
}

/// Fashion-MNIST in `folder`, like [`open_mnist`].
///
/// # Errors
/// As [`open_mnist`].
pub fn open_fashion_mnist(folder: &Path, split: Split, verify: bool) -> Result<InMemory> {
    let pair = split.of(&published::FASHION_TRAIN, &published::FASHION_TEST);
    open("fashion-mnist", folder, split, pair, verify)
}

fn open(name: &str, folder: &Path, split: Split, pair: &IdxPair, verify: bool) -> Result<InMemory> {
    let (images_path, images) = read(name, folder, pair.images)?;
    let (labels_path, labels) = read(name, folder, pair.labels)?;
    let shape = match images.dims[..] {
        [_, h, w] => ImageShape { c: 1, h: h as usize, w: w as usize },
        _ => return Err(Error::Shape { path: images_path, expected: "images [n, h, w]", got: images.dims }),
    };
    if labels.dims.len() != 1 {
        return Err(Error::Shape { path: labels_path, expected: "labels [n]", got: labels.dims });
    }
    let (n_images, n_labels) = (images.dims[0] as usize, labels.data.len());
    if n_images != n_labels {
        return Err(Error::Count { images: images_path, n_images, labels: labels_path, n_labels });
    }
    if verify {
        check_idx(&images_path, &images, pair.images_sha256)?;
        check_idx(&labels_path, &labels, pair.labels_sha256)?;
    }
    let labels = labels.data.into_iter().map(u32::from).collect();
    InMemory::new(format!("{name} {}", split.name()), shape, images.data, Some(labels), N_CLASSES)
}

/// The array of a file, under any of the names it goes by: some copies write `.idx3-ubyte` for `-idx3-ubyte`.
fn read(name: &str, folder: &Path, file: &str) -> Result<(PathBuf, IdxArray)> {
    for file in [file.to_owned(), file.replace("-idx", ".idx")] {
        for suffix in ["", ".gz"] {
            let path = folder.join(format!("{file}{suffix}"));
            match fs_err::read(&path) {
                Ok(bytes) => {
                    return match read_idx(&bytes) {
                        Ok(array) => Ok((path, array)),
                        Err(source) => Err(Error::Format { path, source }),
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Read { path, source }),
            }
        }
    }
    let hint = format!(
        "`cargo xtask fetch {name}` puts the four files into the cache; or put them there, as they are or as \
         {file}.gz, or set `path` to a folder that has them"
    );
    Err(Error::Missing { path: folder.join(file), hint })
}
