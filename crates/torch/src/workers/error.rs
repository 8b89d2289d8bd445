//! What can go wrong between workers.

use std::time::Duration;

/// Workers that cannot go on together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkersError {
    /// The store that workers meet at could not be made.
    #[error("rank 0 cannot keep the store that workers meet at on {address}: {reason}")]
    Serve {
        /// Where it was to be.
        address: String,
        /// c10d's reason.
        reason: String,
    },
    /// The store that workers meet at did not answer.
    #[error(
        "rank {rank} found no store to meet {} at on {address} within {} (join timeout): is rank 0 running there?",
        others(*size),
        seconds(*timeout)
    )]
    NoStore {
        /// This worker.
        rank: usize,
        /// How many were to come.
        size: usize,
        /// Where the store was looked for.
        address: String,
        /// The join timeout.
        timeout: Duration,
    },
    /// Not all came.
    #[error(
        "{came} of {size} workers came to {address} within {} (join timeout); {} did not",
        seconds(*timeout),
        ranks(missing)
    )]
    NotAll {
        /// How many came.
        came: usize,
        /// How many were to come.
        size: usize,
        /// Which did not.
        missing: Vec<usize>,
        /// Where the store is.
        address: String,
        /// The join timeout.
        timeout: Duration,
    },
    /// A worker ended by an error of its own.
    #[error("rank {rank} stopped: {reason}")]
    Stopped {
        /// Which.
        rank: usize,
        /// What it said.
        reason: String,
    },
    /// Workers that no longer answer: killed, or their machine is lost.
    #[error("{} gone: no sign of life since {operation} failed ({reason})", are(gone))]
    Gone {
        /// Which.
        gone: Vec<usize>,
        /// What failed here.
        operation: &'static str,
        /// How.
        reason: String,
    },
    /// The store is lost, and with it whoever keeps it.
    #[error("{keeper} is gone, and with it the store of the workers on {address} (noticed in {operation})")]
    StoreGone {
        /// Who kept it.
        keeper: &'static str,
        /// Where it was.
        address: String,
        /// What was being done.
        operation: &'static str,
    },
    /// A failure between workers that all are alive.
    #[error("{operation} among {size} workers failed, though all of them are alive: {reason}")]
    Failed {
        /// What was being done.
        operation: &'static str,
        /// How many there are.
        size: usize,
        /// The library's reason.
        reason: String,
    },
    /// Workers that did not begin with the same.
    #[error("rank {rank} has another {part} than rank 0: {there} there, {at_first} at rank 0")]
    Differs {
        /// The first that differs.
        rank: usize,
        /// In what.
        part: String,
        /// What it has.
        there: String,
        /// What rank 0 has.
        at_first: String,
    },
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

fn others(size: usize) -> String {
    match size {
        2 => "the other worker".to_owned(),
        size => format!("the other {} workers", size.saturating_sub(1)),
    }
}

fn ranks(which: &[usize]) -> String {
    let all: Vec<String> = which.iter().map(usize::to_string).collect();
    format!("rank{} {}", if which.len() == 1 { "" } else { "s" }, all.join(", "))
}

fn are(which: &[usize]) -> String {
    format!("{} {}", ranks(which), if which.len() == 1 { "is" } else { "are" })
}
