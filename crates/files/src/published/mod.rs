//! Published data sets and weights: the names of their files, and how to know that the contents are right.
//!
//! ```
//! use fewstep_files::published::{MNIST, PUBLISHED};
//!
//! let labels = MNIST.file("t10k-labels-idx1-ubyte").expect("MNIST has it");
//! let wrong = labels.digest.check(&mut &b"something else"[..])?.unwrap_err();
//! assert!(wrong.to_string().starts_with("sha256 ") && wrong.to_string().contains("published ff7bcfd4"));
//! assert_eq!(PUBLISHED.map(|set| set.name), ["cifar10", "inception", "mnist", "fashion-mnist"]);
//! # Ok::<(), std::io::Error>(())
//! ```

mod known;
mod set;
mod table;

pub use known::{KnownDigest, Unknown};
pub use set::{PublishedFile, PublishedSet};
pub use table::{
    CIFAR10, FASHION_MNIST, INCEPTION, INCEPTION_SCRIPT, INCEPTION_STATE_DICT, MNIST, PUBLISHED,
};
