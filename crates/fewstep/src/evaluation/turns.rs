//! Work on batches, shared by workers. They take turns: in each turn every worker makes some consecutive batches, and then the
//! results are handed over in the order of the batches, which is that of a process alone. What is summed from them is then the
//! same to the bit, as long as the workers' machines compute alike.

use std::collections::VecDeque;
use std::ops::Range;

use anyhow::{Context, Result, bail};
use fewstep_torch::{Device, Kind, Tensor, Workers};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::session::{Session, Stopped};

/// What is made of one batch.
pub(crate) struct Made {
    /// On the CPU.
    pub(crate) tensors: Vec<Tensor>,
    /// A count that goes with them.
    pub(crate) count: u64,
}

/// Whom the results are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// Rank 0, which computes with them.
    First,
    /// All workers.
    All,
}

/// Kinds that images and features have; a place in this list stands for a kind.
const KINDS: [Kind; 5] = [Kind::Uint8, Kind::Half, Kind::BFloat16, Kind::Float, Kind::Double];

/// What a worker says of a batch before its tensors come: its count, and a shape and kind for each.
#[derive(Serialize, Deserialize)]
struct Announced {
    count: u64,
    tensors: Vec<(Vec<i64>, usize)>,
}

/// What a worker says in a turn.
#[derive(Serialize, Deserialize)]
struct Turn {
    stop: bool,
    batches: Vec<Announced>,
}

/// A value of rank 0's on every worker; the others give `None`.
pub(crate) fn from_first<T: Serialize + DeserializeOwned>(workers: &Workers, own: Option<T>) -> Result<T> {
    let own = match own {
        Some(own) if workers.is_alone() => return Ok(own),
        own => own,
    };
    let text = own.as_ref().map(serde_json::to_vec).transpose()?.unwrap_or_default();
    let told = workers.gather(&text)?;
    match own {
        Some(own) if workers.is_first() => Ok(own),
        _ => Ok(serde_json::from_slice(told.first().context("rank 0 told nothing")?)?),
    }
}

/// Makes batches `0..n` by all workers, each `at_once` in a turn, and hands them to `take` in their order.
///
/// # Errors
/// A batch cannot be made or taken, a worker is gone, or any of them was asked to stop: then all stop in the same turn.
pub(crate) fn in_turns(
    session: &Session,
    (n, at_once): (u64, u64),
    whom: For,
    make: &mut dyn FnMut(Range<u64>) -> Result<Vec<Made>>,
    take: &mut dyn FnMut(u64, Made) -> Result<()>,
) -> Result<()> {
    let workers = session.workers.as_ref();
    let at_once = from_first(workers, workers.is_first().then_some(at_once.max(1)))?;
    let takes = whom == For::All || workers.is_first();
    let mut begin = 0;
    while begin < n {
        let part = |rank: usize| (begin + rank as u64 * at_once).min(n);
        let mine = part(workers.rank())..part(workers.rank() + 1);
        let mut made: VecDeque<Made> = if mine.is_empty() { Vec::new() } else { make(mine)? }.into();
        let batches = made.iter().map(announced).collect::<Result<_>>()?;
        let turn = Turn { stop: session.check().is_err(), batches };
        let all = workers.gather(&serde_json::to_vec(&turn)?)?;
        let all = all.iter().map(|turn| Ok(serde_json::from_slice(turn)?)).collect::<Result<Vec<Turn>>>()?;
        if all.iter().any(|turn| turn.stop) {
            bail!(Stopped);
        }
        for (rank, turn) in all.into_iter().enumerate() {
            for (batch, announced) in (part(rank)..).zip(turn.batches) {
                let own = if rank == workers.rank() { made.pop_front() } else { None };
                let needed = whom == For::All || rank != 0;
                let made = if needed { hand_over(workers, rank, announced, own)? } else { own };
                if let Some(made) = made.filter(|_| takes) {
                    take(batch, made)?;
                }
            }
        }
        begin = part(workers.size());
    }
    Ok(())
}

fn announced(made: &Made) -> Result<Announced> {
    let one = |t: &Tensor| {
        let kind = KINDS.iter().position(|kind| *kind == t.kind());
        Ok((t.size(), kind.with_context(|| format!("workers do not share numbers of {:?}", t.kind()))?))
    };
    Ok(Announced { count: made.count, tensors: made.tensors.iter().map(one).collect::<Result<_>>()? })
}

/// What worker `rank` made, on all of them.
fn hand_over(
    workers: &Workers,
    rank: usize,
    announced: Announced,
    own: Option<Made>,
) -> Result<Option<Made>> {
    let mut tensors = Vec::new();
    for (i, (size, kind)) in announced.tensors.into_iter().enumerate() {
        let kind = *KINDS.get(kind).context("another worker shares numbers of an unknown kind")?;
        let tensor = match own.as_ref().and_then(|own| own.tensors.get(i)) {
            Some(own) => own.f_contiguous()?,
            None => Tensor::f_zeros(&size, (kind, Device::Cpu))?,
        };
        if tensor.numel() > 0 {
            // As bytes, since gloo knows few kinds of numbers.
            workers.broadcast(&tensor.f_view([-1])?.f_view_dtype(Kind::Uint8)?, rank)?;
        }
        tensors.push(tensor);
    }
    Ok(Some(Made { tensors, count: announced.count }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use fewstep_torch::{StoreHost, Timeouts};

    use super::*;

    /// Batches of two numbers; what each of so many workers takes.
    fn taken(size: usize, n: u64, at_once: u64, whom: For) -> Vec<Vec<(u64, Vec<f32>)>> {
        let host = StoreHost::start().unwrap();
        let timeouts = Timeouts { join: Duration::from_secs(20), reply: Duration::from_secs(20) };
        let (host, whom) = (&host, whom);
        let work = move |rank| {
            let session =
                Session::quiet().among(Arc::new(Workers::join(&host.place(rank, size), timeouts).unwrap()));
            let mut taken = Vec::new();
            let mut make = |batches: Range<u64>| {
                let made = |k: u64| Made { tensors: vec![Tensor::from_slice(&[k as f32, 0.5])], count: k };
                Ok(batches.map(made).collect())
            };
            let mut take = |batch, made: Made| {
                assert_eq!(made.count, batch);
                taken.push((batch, Vec::try_from(&made.tensors[0])?));
                Ok(())
            };
            in_turns(&session, (n, at_once), whom, &mut make, &mut take).unwrap();
            taken
        };
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..size).map(|rank| scope.spawn(move || work(rank))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        })
    }

    #[test]
    fn batches_come_in_their_order_from_any_number_of_workers() {
        let want: Vec<_> = (0..7).map(|k| (k, vec![k as f32, 0.5])).collect();
        for (size, at_once) in [(1, 3), (2, 1), (2, 2), (3, 4)] {
            let all = taken(size, 7, at_once, For::All);
            assert!(all.iter().all(|taken| *taken == want), "{size} {at_once}: {all:?}");
            let first = taken(size, 7, at_once, For::First);
            assert_eq!(first[0], want);
            assert!(first[1..].iter().all(Vec::is_empty));
        }
    }
}
