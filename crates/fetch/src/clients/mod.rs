//! The ordinary clients by which packages and files arrive: pip, npm, apt-get, curl. They know a user's mirror, proxy
//! and credentials, so packages are asked for by name and never by address. Each leaves a file among the cache's
//! downloads.

pub mod apt;
pub mod curl;
pub mod npm;
mod on_disk;
pub mod pip;
pub(crate) mod session;

pub use pip::Install;
pub use session::{Session, path_text};
