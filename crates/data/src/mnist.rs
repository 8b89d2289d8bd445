//! MNIST and Fashion-MNIST: a folder with an idx file of images and one of labels for each split, plain or `.gz`.

use std::path::{Path, PathBuf};

use fewstep_formats::{IdxArray, read_idx};

use crate::{
    dataset::ImageShape,
    error::{Error, Result},
    found::find,
    in_memory::InMemory,
    published::{self, IdxPair, check_idx},
    split::Split,
};

const N_CLASSES: usize = 10;

/// Opens MNIST in `folder`: images `[1, 28, 28]`, ten classes.
///
/// Each file may be compressed by gzip, and may be in a folder with its own name, as some archives unpack.
///
/// With `verify`, the contents must be the published ones; without, any idx pair with these names is accepted.
///
/// # Errors
/// [`Error::Missing`], [`Error::Read`], [`Error::Format`], [`Error::Shape`], [`Error::Digest`] and [`Error::Count`] name
/// the file; [`Error::Invalid`] for a label above 9 or no images.
pub fn open_mnist(folder: &Path, split: Split, verify: bool) -> Result<InMemory> {
    let pair = split.of(&published::MNIST_TRAIN, &published::MNIST_TEST);
    open("mnist", folder, split, pair, verify)
}

/// Opens Fashion-MNIST in `folder`, like [`open_mnist`].
///
/// # Errors
/// As [`open_mnist`].
pub fn open_fashion_mnist(folder: &Path, split: Split, verify: bool) -> Result<InMemory> {
    let pair = split.of(&published::FASHION_TRAIN, &published::FASHION_TEST);
    open("fashion-mnist", folder, split, pair, verify)
}

fn open(name: &str, folder: &Path, split: Split, pair: &IdxPair, verify: bool) -> Result<InMemory> {
    let (images_path, images) = read(name, folder, pair.images.name)?;
    let (labels_path, labels) = read(name, folder, pair.labels.name)?;
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
        check_idx(&images_path, &images, pair.images.digest)?;
        check_idx(&labels_path, &labels, pair.labels.digest)?;
    }
    let labels = labels.data.into_iter().map(u32::from).collect();
    InMemory::new(format!("{name} {}", split.name()), shape, images.data, Some(labels), N_CLASSES)
}

/// The array in a file. Accepts the file's other names (some copies have `.idx3-ubyte` for `-idx3-ubyte`) and searches
/// the places where it may be unpacked: a folder with its own name, and torchvision's folders.
fn read(name: &str, folder: &Path, file: &str) -> Result<(PathBuf, IdxArray)> {
    let names: Vec<String> = [file.to_owned(), file.replace("-idx", ".idx")]
        .into_iter()
        .flat_map(|file| ["", ".gz"].map(|suffix| format!("{file}{suffix}")))
        .collect();
    let by_torchvision = if name == "mnist" { "MNIST/raw" } else { "FashionMNIST/raw" };
    for place in ["", "raw", by_torchvision] {
        if let Some((path, bytes)) = find(&folder.join(place), &names)? {
            return match read_idx(&bytes) {
                Ok(array) => Ok((path, array)),
                Err(source) => Err(Error::Format { path, source }),
            };
        }
    }
    let hint = format!(
        "`cargo xtask fetch {name}` puts the four files into the cache; or put them there, as they are or as \
         {file}.gz, or set `path` to a folder that has them"
    );
    Err(Error::Missing { path: folder.join(file), hint })
}
