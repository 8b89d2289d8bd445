//! What can go wrong on the way of a file into the cache: every variant says what was done and with what.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of fetching.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no place for a cache.
    #[error("no HOME: set FEWSTEP_CACHE to a folder for downloads")]
    NoCache,
    /// A name that nothing has.
    #[error("nothing is called `{name}`; {hint}")]
    Name {
        /// The name.
        name: String,
        /// The nearest one, or all.
        hint: String,
    },
    /// No source had all the files.
    #[error(
        "{name} could not be had ({missing} missing){}; `{hint}` takes it from a folder or archive of your own",
        from_where(tried)
    )]
    Unavailable {
        /// The asset.
        name: &'static str,
        /// The files that are still missing.
        missing: String,
        /// The sources that were tried, and why each had not all.
        tried: Vec<Attempt>,
        /// The command by which a person gives the files.
        hint: String,
    },
    /// Something of the user's that is not what was asked for.
    #[error("{}: {source}", path.display())]
    Taken {
        /// What the user named.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// A file of the user's that is neither a published file nor an archive with one.
    #[error("it is not the published file ({said}): {source}")]
    NeitherFileNorArchive {
        /// Its digest and the published ones.
        said: String,
        /// Why it is no archive with the files either.
        source: Box<Self>,
    },
    /// Contents that are not the published ones.
    #[error("{what}")]
    NotPublished {
        /// Which, with both digests.
        what: String,
    },
    /// Files that are not where they were looked for.
    #[error("there is no {names} in it")]
    Absent {
        /// Their names.
        names: String,
    },
    /// The file system refused.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was being done.
        operation: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A client is not there.
    #[error("{program} is not installed")]
    NotInstalled {
        /// Its name.
        program: String,
    },
    /// The system refused to run a program.
    #[error("cannot {operation} {program}: {source}")]
    Process {
        /// What was being done.
        operation: &'static str,
        /// Its name.
        program: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A program did not succeed.
    #[error("`{command}` failed ({status})")]
    Failed {
        /// As a person would type it.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// curl gave up.
    #[error("curl failed ({status})")]
    Transfer {
        /// How it ended.
        status: ExitStatus,
    },
    /// A program succeeded and left nothing.
    #[error("{command}: it left no whole file")]
    LeftNothing {
        /// As a person would type it.
        command: String,
    },
    /// A path that cannot be an argument.
    #[error("{} is not UTF-8, which this needs", path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// A file that is not whole, or not of its kind.
    #[error("{what}: {source}")]
    Damaged {
        /// Which file is not what, in words.
        what: String,
        /// What its reader says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An archive whose member wants to lie outside.
    #[error("{archive}: the member {member} leaves the archive")]
    Outside {
        /// The archive.
        archive: String,
        /// The member's name.
        member: String,
    },
    /// An archive without what was looked for.
    #[error("{archive} holds nothing of what is looked for")]
    Nothing {
        /// The archive.
        archive: String,
    },
    /// A member that ends too early or too late.
    #[error("{archive}: {got} of {expected} bytes of {}", path.display())]
    Size {
        /// The archive.
        archive: String,
        /// Where the member was to go.
        path: PathBuf,
        /// Its size as the archive says.
        expected: u64,
        /// The bytes that came.
        got: u64,
    },
    /// Contents of another form than they should have.
    #[error("{}: expected {expected}, got {got}", path.display())]
    Contents {
        /// The file.
        path: PathBuf,
        /// What was expected.
        expected: String,
        /// What is there.
        got: String,
    },
}

/// A source that had not everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The source, in words.
    pub source: String,
    /// Why not.
    pub reason: String,
}

fn from_where(tried: &[Attempt]) -> String {
    match tried {
        [] => String::new(),
        _ => {
            let sources: Vec<_> = tried.iter().map(|attempt| attempt.source.as_str()).collect();
            format!(" from {}", sources.join(", nor from "))
        }
    }
}

/// For what the file system refuses.
pub(crate) fn cannot(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { operation, path: path.to_owned(), source }
}

/// For what a reader does not take.
pub(crate) fn damaged<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    what: impl Into<String>,
) -> impl FnOnce(E) -> Error {
    move |source| Error::Damaged { what: what.into(), source: source.into() }
}
