//! A worker's place among the others, and how long they wait for each other.

use std::time::Duration;

use super::error::WorkersError;
use super::shim::Store;
use crate::error::Result;

/// A worker's place among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number, counted from 0.
    pub rank: usize,
    /// How many there are.
    pub size: usize,
    /// Its number on its machine.
    pub local_rank: usize,
    /// How many there are on its machine.
    pub local_size: usize,
    /// Whether each sees GPUs of its own only, rather than all of its machine.
    pub own_gpus: bool,
    /// Host of the store that they meet at.
    pub address: String,
    /// Port of the store.
    pub port: u16,
    /// Whether a launcher keeps the store; otherwise rank 0 does.
    pub hosted: bool,
    /// Names this start of the workers in a store that outlives it.
    pub round: String,
}

impl Place {
    /// A process that works alone.
    pub const fn alone() -> Self {
        Self {
            rank: 0,
            size: 1,
            local_rank: 0,
            local_size: 1,
            own_gpus: false,
            address: String::new(),
            port: 0,
            hosted: false,
            round: String::new(),
        }
    }

    /// The store's address with its port.
    pub(super) fn meeting_point(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }
}

/// How long workers wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For all to come, at the start.
    pub join: Duration,
    /// For each other inside one collective, that is, for the slowest in a step.
    pub reply: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { join: Duration::from_secs(120), reply: Duration::from_secs(600) }
    }
}

/// The store that workers meet at, kept by a process that is none of them.
#[derive(Debug)]
pub struct StoreHost(Store);

impl StoreHost {
    /// On this machine, at a free port.
    ///
    /// # Errors
    /// No port can be listened on.
    pub fn start() -> Result<Self> {
        const ADDRESS: &str = "127.0.0.1";
        let store = Store::open((ADDRESS, 0), true, "", Duration::from_secs(30));
        Ok(Self(store.map_err(|reason| WorkersError::Serve { address: ADDRESS.to_owned(), reason })?))
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// The place of worker `rank` of `size`, all on this machine.
    pub fn place(&self, rank: usize, size: usize) -> Place {
        Place {
            rank,
            size,
            local_rank: rank,
            local_size: size,
            own_gpus: false,
            address: "127.0.0.1".to_owned(),
            port: self.port(),
            hosted: true,
            round: String::new(),
        }
    }
}
