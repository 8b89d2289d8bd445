//! Several processes that work as one: [`Workers`].
//!
//! Each worker is a process with a rank. They meet at a store (c10d's TCPStore), which rank 0 or a launcher keeps. Tensors
//! are summed and copied by gloo on the CPU and by NCCL on GPUs. No call waits for a worker that is gone: what fails is an
//! error that names the worker. All workers make the same calls in the same order.

mod error;
mod heart;
mod place;
mod shim;
mod together;

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use tch::{Device, Tensor};

pub use error::WorkersError;
pub use place::{Place, StoreHost, Timeouts};

use crate::error::{Error, Result};
use shim::{Gloo, Nccl};
use together::Together;

/// This process among the processes that work as one. Alone, every call returns at once with what it was given.
#[derive(Debug)]
pub struct Workers {
    place: Place,
    together: Option<Together>,
}

impl Workers {
    /// A process that works alone.
    pub const fn alone() -> Self {
        Self { place: Place::alone(), together: None }
    }

    /// Joins the others; returns when all are there.
    ///
    /// # Errors
    /// Not all of them come in time, or they cannot connect.
    pub fn join(place: &Place, timeouts: Timeouts) -> Result<Self> {
        if place.rank >= place.size || place.local_rank >= place.local_size {
            let (name, expected) = ("rank", "a number below that of workers");
            return Err(Error::OutOfRange { name, got: place.rank as f64, expected });
        }
        let together = (place.size > 1).then(|| Together::join(place, timeouts)).transpose()?;
        Ok(Self { place: place.clone(), together })
    }

    /// Number of this worker, counted from 0.
    pub fn rank(&self) -> usize {
        self.place.rank
    }

    /// How many workers there are.
    pub fn size(&self) -> usize {
        self.place.size
    }

    /// Whether there is but one.
    pub fn is_alone(&self) -> bool {
        self.together.is_none()
    }

    /// Whether this worker writes files and logs: rank 0 does.
    pub fn is_first(&self) -> bool {
        self.place.rank == 0
    }

    /// Where this worker is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Replaces `tensor` by its sum over all workers, which is the same to the bit on all of them and for the same number of
    /// workers every time. It is contiguous, and of one size and kind everywhere.
    ///
    /// # Errors
    /// A worker is gone or late.
    pub fn all_reduce(&self, tensor: &Tensor) -> Result<()> {
        let Some(together) = &self.together else { return Ok(()) };
        let timeout = together.timeouts.reply;
        let on_cpu = |gloo: &Gloo| gloo.all_reduce(tensor, timeout);
        collective(together, &self.place, "all-reduce", tensor, on_cpu, |nccl| {
            nccl.all_reduce(tensor, timeout)
        })
    }

    /// Replaces `tensor` by that of worker `root`. It is contiguous, and of one size and kind everywhere.
    ///
    /// # Errors
    /// A worker is gone or late.
    pub fn broadcast(&self, tensor: &Tensor, root: usize) -> Result<()> {
        let Some(together) = &self.together else { return Ok(()) };
        let timeout = together.timeouts.reply;
        let on_cpu = |gloo: &Gloo| gloo.broadcast(tensor, root, timeout);
        let on_gpu = |nccl: &Nccl| nccl.broadcast(tensor, root, timeout);
        collective(together, &self.place, "broadcast", tensor, on_cpu, on_gpu)
    }

    /// A small text of every worker, in the order of ranks. Waits for as long as the others are alive: also for one that
    /// measures for an hour.
    ///
    /// # Errors
    /// A worker is gone, or ended by an error.
    pub fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        match &self.together {
            Some(together) => Ok(together.gather(bytes, "a meeting")?),
            None => Ok(vec![bytes.to_vec()]),
        }
    }

    /// Waits until every worker has come to this call, for as long as they are alive.
    ///
    /// # Errors
    /// A worker is gone, or ended by an error.
    pub fn meet(&self) -> Result<()> {
        self.gather(&[]).map(|_| ())
    }

    /// Whether any worker says so.
    ///
    /// # Errors
    /// A worker is gone, or ended by an error.
    pub fn any(&self, flag: bool) -> Result<bool> {
        Ok(self.gather(&[u8::from(flag)])?.iter().any(|said| said.first() == Some(&1)))
    }

    /// Passes if all workers give the same parts; otherwise the error, on all of them, names the first rank and the first
    /// part that differ from rank 0's.
    ///
    /// # Errors
    /// They differ, or a worker is gone.
    pub fn agree(&self, parts: &BTreeMap<String, String>) -> Result<()> {
        let format = |e: serde_json::Error| Error::Format { what: "parts".into(), reason: e.to_string() };
        let all = self.gather(&serde_json::to_vec(parts).map_err(format)?)?;
        let all = all.iter().map(|bytes| serde_json::from_slice(bytes).map_err(format));
        let all = all.collect::<Result<Vec<BTreeMap<String, String>>>>()?;
        let Some((first, others)) = all.split_first() else { return Ok(()) };
        for (rank, there) in (1..).zip(others) {
            let names = first.keys().chain(there.keys());
            if let Some(part) = names.into_iter().find(|part| first.get(*part) != there.get(*part)) {
                let of = |parts: &BTreeMap<String, String>| parts.get(part).map_or("none", |v| v).to_owned();
                let (there, at_first) = (of(there), of(first));
                return Err(WorkersError::Differs { rank, part: part.clone(), there, at_first }.into());
            }
        }
        Ok(())
    }

    /// Tells the others that this worker ends by an error of its own, before it does.
    pub fn leave(&self, reason: &str) {
        if let Some(together) = &self.together {
            together.leave(reason);
        }
    }
}

impl Default for Workers {
    fn default() -> Self {
        Self::alone()
    }
}

/// Runs a collective where the tensor lies, and finds out why where it fails.
fn collective(
    together: &Together,
    place: &Place,
    operation: &'static str,
    tensor: &Tensor,
    on_cpu: impl FnOnce(&Gloo) -> shim::Result<()>,
    on_gpu: impl FnOnce(&Nccl) -> shim::Result<()>,
) -> Result<()> {
    together.check(operation)?;
    let done = match tensor.device() {
        Device::Cuda(device) => {
            let mut nccl = together.nccl.lock().unwrap_or_else(PoisonError::into_inner);
            open_nccl(together, place, &mut nccl, device)?;
            nccl.as_ref().map_or(Ok(()), on_gpu)
        }
        _ => on_cpu(&together.gloo.lock().unwrap_or_else(PoisonError::into_inner)),
    };
    Ok(done.map_err(|reason| together.why(operation, reason))?)
}

fn open_nccl(
    together: &Together,
    place: &Place,
    nccl: &mut MutexGuard<'_, Option<Nccl>>,
    device: usize,
) -> Result<()> {
    const OPERATION: &str = "starting NCCL";
    if nccl.is_some() {
        return Ok(());
    }
    let failed = |reason| together.why(OPERATION, reason);
    let own = if place.rank == 0 { Nccl::id().map_err(failed)?.to_vec() } else { Vec::new() };
    let told = together.gather(&own, OPERATION)?;
    let id = told.first().and_then(|id| id.as_slice().try_into().ok());
    let id = id.ok_or_else(|| failed("rank 0 told no id".to_owned()))?;
    **nccl = Some(Nccl::open(id, (place.rank, place.size), device).map_err(failed)?);
    Ok(())
}

#[cfg(test)]
mod tests;
