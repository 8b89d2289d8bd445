//! Names and digests of the files of published data sets.
//!
//! The idx files exist plain and compressed by several programs, so they are verified by the sha256 of the uncompressed
//! array. CIFAR-10's batches are verified by the md5 sums that its authors publish.

use std::io::Read;
use std::path::Path;

use fewstep_files::published::{CIFAR10, FASHION_MNIST, KnownDigest, MNIST, PublishedFile};
use fewstep_formats::IdxArray;

use crate::error::{Error, Result};

/// The idx pair of one split.
pub(crate) struct IdxPair {
    pub(crate) images: PublishedFile,
    pub(crate) labels: PublishedFile,
}

pub(crate) const MNIST_TRAIN: IdxPair = IdxPair { images: MNIST.files[0], labels: MNIST.files[1] };
pub(crate) const MNIST_TEST: IdxPair = IdxPair { images: MNIST.files[2], labels: MNIST.files[3] };
pub(crate) const FASHION_TRAIN: IdxPair =
    IdxPair { images: FASHION_MNIST.files[0], labels: FASHION_MNIST.files[1] };
pub(crate) const FASHION_TEST: IdxPair =
    IdxPair { images: FASHION_MNIST.files[2], labels: FASHION_MNIST.files[3] };

/// The five batches of CIFAR-10, and the one to test on.
pub(crate) const CIFAR10_TRAIN: &[PublishedFile] = CIFAR10.files.split_at(5).0;
pub(crate) const CIFAR10_TEST: &[PublishedFile] = CIFAR10.files.split_at(5).1;

pub(crate) fn check_idx(path: &Path, array: &IdxArray, expected: KnownDigest) -> Result<()> {
    check(path, expected, &mut array.header().as_slice().chain(array.data.as_slice()))
}

pub(crate) fn check_bytes(path: &Path, bytes: &[u8], expected: KnownDigest) -> Result<()> {
    check(path, expected, &mut &*bytes)
}

fn check(path: &Path, expected: KnownDigest, contents: &mut impl Read) -> Result<()> {
    let checked = expected.check(contents);
    let checked = checked.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    checked.map_err(|unknown| Error::Digest {
        path: path.to_owned(),
        expected: unknown.expected.join(" or "),
        got: unknown.got,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_compared() {
        let path = Path::new("file");
        let abc = KnownDigest::Md5(&["900150983cd24fb0d6963f7d28e17f72"]);
        check_bytes(path, b"abc", abc).unwrap();
        let error = check_bytes(path, b"abd", abc).unwrap_err();
        assert!(matches!(&error, Error::Digest { got, .. } if got.starts_with("4911e516")), "{error}");
        // sha256 of the nine bytes 0 0 8 1 0 0 0 1 7.
        let seven =
            KnownDigest::Sha256(&["c564aa0aa783b8862ae6128a973a6f6b213b9428d39b5c8acfbda3c630d40f1e"]);
        let array = IdxArray { dims: vec![1], data: vec![7] };
        check_idx(path, &array, seven).unwrap();
        assert!(check_idx(path, &IdxArray { dims: vec![1], data: vec![8] }, seven).is_err());
    }

    #[test]
    fn every_split_has_its_files() {
        for (pair, start) in
            [(MNIST_TRAIN, "train"), (MNIST_TEST, "t10k"), (FASHION_TRAIN, "train"), (FASHION_TEST, "t10k")]
        {
            assert_eq!(pair.images.name, format!("{start}-images-idx3-ubyte"));
            assert_eq!(pair.labels.name, format!("{start}-labels-idx1-ubyte"));
        }
        assert_ne!(MNIST_TRAIN.images.digest, FASHION_TRAIN.images.digest);
        let names = |files: &[PublishedFile]| files.iter().map(|file| file.name).collect::<Vec<_>>();
        let train = ["1", "2", "3", "4", "5"].map(|n| format!("data_batch_{n}.bin"));
        assert_eq!(names(CIFAR10_TRAIN), train);
        assert_eq!(names(CIFAR10_TEST), ["test_batch.bin"]);
    }
}
