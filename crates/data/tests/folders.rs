//! Data sets in folders: opening them, and the errors for folders that are incomplete or damaged.
#![allow(clippy::unwrap_used)]

use std::{fs, io::Write, path::Path, sync::Arc};

use fewstep_data::{
    Dataset, DatasetSpec, Error, FolderSpec, ImageShape, Result, Split, open_cifar10, open_fashion_mnist,
    open_mnist,
};
use fewstep_formats::IdxArray;
use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

fn idx(dims: &[u32], data: Vec<u8>) -> Vec<u8> {
    let array = IdxArray { dims: dims.to_vec(), data };
    [array.header(), array.data].concat()
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Three plain training images of 2 x 2, and one compressed test image.
fn small_mnist() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
    write("train-images-idx3-ubyte", idx(&[3, 2, 2], (0..12).collect()));
    write("train-labels-idx1-ubyte", idx(&[3], vec![7, 8, 9]));
    write("t10k-images-idx3-ubyte.gz", pack(&idx(&[1, 2, 2], vec![9; 4])));
    write("t10k-labels.idx1-ubyte", idx(&[1], vec![0]));
    folder
}

fn record(label: u8) -> Vec<u8> {
    [vec![label], vec![label * 10; 3072]].concat()
}

fn small_cifar(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for i in 1..=5 {
        fs::write(folder.join(format!("data_batch_{i}.bin")), record(i).repeat(2)).unwrap();
    }
    fs::write(folder.join("test_batch.bin"), record(6)).unwrap();
}

fn message<T>(result: Result<T>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn a_folder_of_idx_files_opens() {
    let folder = small_mnist();
    let train = open_mnist(folder.path(), Split::Train, false).unwrap();
    assert_eq!((train.name(), train.len(), train.n_classes()), ("mnist train", 3, 10));
    assert_eq!(train.shape(), ImageShape { c: 1, h: 2, w: 2 });
    let mut image = [0; 4];
    train.read(2, &mut image).unwrap();
    assert_eq!((image, train.label(2)), ([8, 9, 10, 11], Some(9)));
    let test = open_fashion_mnist(folder.path(), Split::Test, false).unwrap();
    assert_eq!((test.name(), test.pixels(), test.label(0)), ("fashion-mnist test", &[9; 4][..], Some(0)));
}

#[test]
fn a_folder_of_cifar_batches_opens_in_order() {
    let folder = tempfile::tempdir().unwrap();
    small_cifar(&folder.path().join("cifar-10-batches-bin"));
    let train = open_cifar10(folder.path(), Split::Train, false).unwrap();
    assert_eq!(train.shape(), ImageShape { c: 3, h: 32, w: 32 });
    let labels: Vec<_> = (0..train.len()).filter_map(|i| train.label(i)).collect();
    assert_eq!(labels, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
    assert_eq!((train.pixels()[0], train.pixels()[9 * 3072]), (10, 50));
    small_cifar(folder.path());
    assert_eq!(open_cifar10(folder.path(), Split::Test, false).unwrap().label(0), Some(6));
}

#[test]
fn a_missing_file_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for (error, file, advice) in [
        (
            message(open_mnist(folder.path(), Split::Train, true)),
            "train-images-idx3-ubyte",
            "cargo xtask fetch mnist`",
        ),
        (
            message(open_fashion_mnist(folder.path(), Split::Test, true)),
            "t10k-images-idx3",
            "cargo xtask fetch fashion-mnist`",
        ),
        (
            message(open_cifar10(folder.path(), Split::Test, true)),
            "test_batch.bin",
            "cargo xtask fetch cifar10`",
        ),
    ] {
        let path = folder.path().join(file).display().to_string();
        assert!(error.starts_with(&path) && error.contains(advice), "{error}");
    }
    let labels = small_mnist();
    fs::remove_file(labels.path().join("train-labels-idx1-ubyte")).unwrap();
    let error = open_mnist(labels.path(), Split::Train, false).unwrap_err();
    assert!(
        matches!(&error, Error::Missing { path, .. } if path.ends_with("train-labels-idx1-ubyte")),
        "{error}"
    );
    // A folder in place of the file is searched, and is empty.
    fs::create_dir(labels.path().join("train-labels-idx1-ubyte")).unwrap();
    let error = open_mnist(labels.path(), Split::Train, false).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
}

/// Data portals unpack every file into a folder with its name; files with dotted names may be there too.
#[test]
fn files_in_folders_of_their_own_names_are_found() {
    let plain = small_mnist();
    let names = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
    for (inner, suffix) in [("-idx", ""), (".idx", ""), ("-idx", ".gz")] {
        for place in ["", "raw", "MNIST/raw"] {
            let dir = tempfile::tempdir().unwrap();
            for name in names {
                let folder = dir.path().join(place).join(format!("{name}{suffix}"));
                fs::create_dir_all(&folder).unwrap();
                let bytes = fs::read(plain.path().join(name)).unwrap();
                let bytes = if suffix.is_empty() { bytes } else { pack(&bytes) };
                fs::write(folder.join(format!("{}{suffix}", name.replace("-idx", inner))), bytes).unwrap();
            }
            let train = open_mnist(dir.path(), Split::Train, false).unwrap();
            assert_eq!((train.len(), train.label(2)), (3, Some(9)), "{inner} {suffix} {place}");
            // A file with a dotted name takes precedence over a folder.
            fs::write(dir.path().join("train-labels.idx1-ubyte"), idx(&[3], vec![1, 2, 3])).unwrap();
            assert_eq!(open_mnist(dir.path(), Split::Train, false).unwrap().label(2), Some(3));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("test_batch.bin")).unwrap();
    fs::write(dir.path().join("test_batch.bin/test_batch.bin"), record(6)).unwrap();
    assert_eq!(open_cifar10(dir.path(), Split::Test, false).unwrap().label(0), Some(6));
}

#[test]
fn another_file_than_the_published_one_is_refused_unless_verify_is_off() {
    let folder = small_mnist();
    small_cifar(folder.path());
    for spec in [DatasetSpec::Mnist, DatasetSpec::FashionMnist, DatasetSpec::Cifar10] {
        for split in [Split::Train, Split::Test] {
            let at = FolderSpec { path: Some(folder.path().to_owned()), split, ..FolderSpec::default() };
            let error = spec(at.clone()).open(None).err().unwrap();
            assert!(matches!(error, Error::Digest { .. }), "{error}");
            let opened: Arc<dyn Dataset> = spec(FolderSpec { verify: false, ..at }).open(None).unwrap();
            assert!(!opened.is_empty());
        }
    }
}

#[test]
fn damaged_files_are_named_with_the_damage() {
    let folder = small_mnist();
    let images = folder.path().join("train-images-idx3-ubyte");
    let labels = folder.path().join("train-labels-idx1-ubyte");
    let open = || message(open_mnist(folder.path(), Split::Train, false));
    fs::write(&labels, idx(&[2], vec![7, 8])).unwrap();
    let error = open();
    assert!(error.contains("3 images") && error.contains("2 labels"), "{error}");
    fs::write(&labels, idx(&[3], vec![7, 10, 8])).unwrap();
    assert!(open().contains("got 10 at image 1"));
    fs::write(&labels, idx(&[3, 1], vec![7, 8, 9])).unwrap();
    let error = open();
    assert!(error.contains("expected labels [n], got dimensions [3, 1]"), "{error}");
    fs::write(&images, idx(&[12], vec![0; 12])).unwrap();
    assert!(open().contains("expected images [n, h, w]"));
    fs::write(&images, idx(&[0, u32::MAX, u32::MAX], vec![])).unwrap();
    fs::write(&labels, idx(&[0], vec![])).unwrap();
    assert!(open().contains("one at least"));
    let whole = idx(&[3, 2, 2], (0..12).collect());
    fs::write(&images, &whole[..20]).unwrap();
    let error = open();
    assert!(error.starts_with(&images.display().to_string()) && error.contains("cut short"), "{error}");

    small_cifar(folder.path());
    let batch = folder.path().join("data_batch_4.bin");
    fs::write(&batch, &record(4)[..3000]).unwrap();
    let error = message(open_cifar10(folder.path(), Split::Train, false));
    assert!(error.starts_with(&batch.display().to_string()) && error.contains("cut short"), "{error}");
}
