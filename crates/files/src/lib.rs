//! Files that are whole or absent, digests, the cache folder, and how to know published files.
//!
//! A file is written beside its place, flushed to disk and renamed ([`AtomicFile`], [`write_atomically`]; a whole folder:
//! [`AtomicFolder`]), so whoever reads finds the old contents or the new, never a part. A [`Digest`] says which bytes
//! something is about. [`cache_folder`] is where downloads are kept, and [`published`] the table of what may lie there: names,
//! and the digests of the contents.
//!
//! In the layers: at the bottom. It knows no libtorch, no file formats and no network; how published files are had is the
//! matter of `fewstep-fetch`.
//!
//! ```
//! use std::io::Write;
//!
//! use fewstep_files::{AtomicFile, Digest, write_atomically};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("results.json");
//! write_atomically(&path, b"{}")?;
//!
//! // A stream that is given up leaves what was there ...
//! let mut half = AtomicFile::create(&path)?;
//! half.write_all(b"{\"fid\": ")?;
//! drop(half);
//! assert_eq!(std::fs::read(&path)?, b"{}");
//!
//! // ... and one that is committed takes its place.
//! let mut whole = AtomicFile::create(&path)?;
//! whole.write_all(b"{\"fid\": 2.1}")?;
//! whole.commit()?;
//! assert_eq!(Digest::of_file(&path)?, Digest::of(b"{\"fid\": 2.1}"));
//! assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod atomic;
mod atomic_folder;
mod cache;
mod digest;
mod error;
mod hex;
pub mod published;
mod temporary;

pub use atomic::{AtomicFile, scratch_file, write_atomically};
pub use atomic_folder::{AtomicFolder, sync_folder};
pub use cache::cache_folder;
pub use digest::{Digest, Hasher};
pub use error::{Error, Result};
pub use hex::hex;
