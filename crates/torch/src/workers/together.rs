//! Workers that came together: the store that they meet at, their notes in it, and who is gone when something fails.
//!
//! A worker that ends leaves a note: that it is done, its own error, or whom it missed. The others read the notes first. Who
//! left none and no longer counts up is gone.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::error::WorkersError;
use super::heart::{BEAT, Heart, beats};
use super::place::{Place, Timeouts};
use super::shim::{Gloo, Listens, Nccl, Store};

type Result<T> = std::result::Result<T, WorkersError>;

/// A heart that is silent for so long after a failure does not beat any more.
const DOUBT: Duration = Duration::from_secs(5);
/// A heart that is silent for so long while its worker is waited for does not beat any more.
const SILENCE: Duration = Duration::from_secs(30);
/// How long rank 0 keeps the store at the end for those who still read in it.
const LINGER: Duration = Duration::from_secs(10);

/// The first letter of a note.
const DONE: u8 = b'D';
const ERROR: u8 = b'E';
const MISSED: u8 = b'M';
const FOLLOWED: u8 = b'F';

/// One of several workers. Fields are dropped in this order.
#[derive(Debug)]
pub(super) struct Together {
    pub(super) gloo: Mutex<Gloo>,
    /// Made when the first tensor on a GPU comes.
    pub(super) nccl: Mutex<Option<Nccl>>,
    heart: Heart,
    store: Store,
    place: Place,
    pub(super) timeouts: Timeouts,
    /// Meetings so far: their keys in the store are numbered.
    met: AtomicU64,
    left: AtomicBool,
}

impl Together {
    pub(super) fn join(place: &Place, timeouts: Timeouts) -> Result<Self> {
        let address = place.meeting_point();
        let point = (place.address.as_str(), place.port);
        let serves = place.rank == 0 && !place.hosted;
        let round = format!("fewstep/{}/", place.round);
        let store = Store::open(point, serves, &round, timeouts.join).map_err(|reason| match serves {
            true => WorkersError::Serve { address: address.clone(), reason },
            false => no_store(place, timeouts),
        })?;
        all_here(&store, place, timeouts)?;
        let gone = |_| store_gone(place, "joining");
        let own = Store::open(point, false, &round, timeouts.join).map_err(gone)?;
        let failed = |reason| WorkersError::Failed { operation: "connecting", size: place.size, reason };
        let heart = Heart::start(own, place.rank).map_err(|e| failed(e.to_string()))?;
        let interface = std::env::var("GLOO_SOCKET_IFNAME").ok().filter(|name| !name.is_empty());
        let listens = match &interface {
            Some(name) => Listens::Interface(name),
            None if place.local_size == place.size => Listens::Address("127.0.0.1"),
            None => Listens::MachineName,
        };
        let gloo = Gloo::open(&store, (place.rank, place.size), listens, timeouts.join).map_err(failed)?;
        let (met, left) = (AtomicU64::new(0), AtomicBool::new(false));
        let (gloo, nccl) = (Mutex::new(gloo), Mutex::new(None));
        Ok(Self { gloo, nccl, heart, store, place: place.clone(), timeouts, met, left })
    }

    /// Everyone's bytes, in the order of ranks. Waits for as long as the others are alive.
    pub(super) fn gather(&self, bytes: &[u8], operation: &'static str) -> Result<Vec<Vec<u8>>> {
        let met = self.met.fetch_add(1, Ordering::Relaxed);
        let key = |rank: usize| format!("met/{met}/{rank}");
        self.store.set(&key(self.place.rank), bytes).map_err(|reason| self.why(operation, reason))?;
        (0..self.place.size).map(|rank| self.wait_for(&key(rank), rank, operation)).collect()
    }

    fn wait_for(&self, key: &str, rank: usize, operation: &'static str) -> Result<Vec<u8>> {
        let lost = |reason| self.why(operation, reason);
        let mut pause = Duration::from_millis(1);
        let (mut looked, mut alive) = (Instant::now(), (0, Instant::now()));
        loop {
            if let Some(value) = self.store.get(key).map_err(lost)? {
                return Ok(value);
            }
            if looked.elapsed() > BEAT {
                looked = Instant::now();
                if let Some(found) = self.notes().map_err(lost)? {
                    return Err(self.found(found));
                }
                let count = beats(&self.store, rank).map_err(lost)?;
                if count != alive.0 {
                    alive = (count, Instant::now());
                } else if alive.1.elapsed() > SILENCE {
                    let reason = format!("silent for {} s", SILENCE.as_secs());
                    return Err(self.found(WorkersError::Gone { gone: vec![rank], operation, reason }));
                }
            }
            std::thread::sleep(pause);
            pause = (2 * pause).min(Duration::from_millis(50));
        }
    }

    /// Passes while the store answers: without it nobody would learn of the end of anybody.
    pub(super) fn check(&self, operation: &'static str) -> Result<()> {
        match self.heart.lost() {
            true => Err(self.why(operation, "the store does not answer".to_owned())),
            false => Ok(()),
        }
    }

    /// What a failure between workers means.
    pub(super) fn why(&self, operation: &'static str, reason: String) -> WorkersError {
        let found = self.look(operation, reason);
        let found = found.unwrap_or_else(|_| store_gone(&self.place, operation));
        self.found(found)
    }

    /// Looks for the cause of a failure until everybody is known to be alive or gone. The error is that of the store.
    fn look(&self, operation: &'static str, reason: String) -> super::shim::Result<WorkersError> {
        let others: Vec<usize> = (0..self.place.size).filter(|&rank| rank != self.place.rank).collect();
        let count = |rank: &usize| beats(&self.store, *rank);
        let before = others.iter().map(count).collect::<super::shim::Result<Vec<_>>>()?;
        let mut silent: Vec<usize> = (0..others.len()).collect();
        let began = Instant::now();
        while began.elapsed() < DOUBT {
            if let Some(found) = self.notes()? {
                return Ok(found);
            }
            let mut still = Vec::new();
            for i in silent {
                if count(&others[i])? == before[i] {
                    still.push(i);
                }
            }
            silent = still;
            if silent.is_empty() && began.elapsed() > 3 * BEAT {
                let size = self.place.size;
                return Ok(WorkersError::Failed { operation, size, reason });
            }
            std::thread::sleep(BEAT / 5);
        }
        // A worker that has ended well is not alive either, but nobody waits for it.
        let gone = silent.into_iter().map(|i| others[i]).collect();
        Ok(WorkersError::Gone { gone, operation, reason })
    }

    /// What the notes of others say, if there are any that matter.
    fn notes(&self) -> super::shim::Result<Option<WorkersError>> {
        let mut missed = None;
        for rank in (0..self.place.size).filter(|&rank| rank != self.place.rank) {
            let Some(note) = self.store.get(&note(rank))? else { continue };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            match note.split_first() {
                Some((&ERROR, said)) => {
                    return Ok(Some(WorkersError::Stopped { rank, reason: text(said) }));
                }
                Some((&MISSED, said)) => {
                    let gone = text(said).split(',').filter_map(|rank| rank.parse().ok()).collect();
                    let (operation, reason) = ("a collective", format!("rank {rank} noticed it first"));
                    missed = Some(WorkersError::Gone { gone, operation, reason });
                }
                _ => {}
            }
        }
        Ok(missed)
    }

    /// Tells the others of what was found, and returns it.
    fn found(&self, error: WorkersError) -> WorkersError {
        match &error {
            WorkersError::Gone { gone, .. } => {
                let ranks: Vec<String> = gone.iter().map(usize::to_string).collect();
                self.note(MISSED, &ranks.join(","));
            }
            WorkersError::Stopped { .. } | WorkersError::StoreGone { .. } => self.note(FOLLOWED, ""),
            _ => self.note(ERROR, &error.to_string()),
        }
        error
    }

    /// Leaves a note; only the first counts.
    fn note(&self, letter: u8, text: &str) {
        if !self.left.swap(true, Ordering::Relaxed) {
            let bytes: Vec<u8> = std::iter::once(letter).chain(text.bytes()).collect();
            // Without a store there is nobody to read it.
            let _ = self.store.set(&note(self.place.rank), &bytes);
        }
    }

    /// Says that this worker ends by an error of its own.
    pub(super) fn leave(&self, reason: &str) {
        self.note(ERROR, reason);
    }

    /// Waits until the others have ended, so that the store is there for them.
    fn linger(&self) {
        let began = Instant::now();
        let mut waited_for: Vec<(usize, i64, Instant)> =
            (1..self.place.size).map(|rank| (rank, -1, began)).collect();
        while began.elapsed() < LINGER && !waited_for.is_empty() {
            waited_for.retain_mut(|(rank, count, since)| {
                let now = beats(&self.store, *rank).unwrap_or(*count);
                if now != *count {
                    (*count, *since) = (now, Instant::now());
                }
                since.elapsed() < 3 * BEAT
            });
            std::thread::sleep(BEAT / 5);
        }
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        self.note(DONE, "");
        if self.place.rank == 0 && !self.place.hosted {
            self.linger();
        }
    }
}

fn note(rank: usize) -> String {
    format!("left/{rank}")
}

fn store_gone(place: &Place, operation: &'static str) -> WorkersError {
    let keeper = if place.hosted { "the launcher" } else { "rank 0" };
    WorkersError::StoreGone { keeper, address: place.meeting_point(), operation }
}

fn no_store(place: &Place, timeouts: Timeouts) -> WorkersError {
    let (rank, size, address) = (place.rank, place.size, place.meeting_point());
    WorkersError::NoStore { rank, size, address, timeout: timeouts.join }
}

/// Waits until all workers have come to the store.
fn all_here(store: &Store, place: &Place, timeouts: Timeouts) -> Result<()> {
    let came = |rank: usize| format!("came/{rank}");
    let gone = |_| store_gone(place, "joining");
    let deadline = Instant::now() + timeouts.join;
    store.set(&came(place.rank), b"1").map_err(gone)?;
    let mut missing: Vec<usize> = (0..place.size).collect();
    let mut pause = Duration::from_millis(1);
    loop {
        let mut still = Vec::new();
        for rank in missing {
            if store.get(&came(rank)).map_err(gone)?.is_none() {
                still.push(rank);
            }
        }
        if still.is_empty() {
            return Ok(());
        }
        missing = still;
        if let Some(said) = store.get(&note(0)).map_err(gone)?.filter(|_| place.rank != 0) {
            let reason = String::from_utf8_lossy(said.get(1..).unwrap_or_default()).into_owned();
            return Err(WorkersError::Stopped { rank: 0, reason });
        }
        if Instant::now() > deadline {
            break;
        }
        std::thread::sleep(pause);
        pause = (2 * pause).min(Duration::from_millis(100));
    }
    let (size, address, timeout) = (place.size, place.meeting_point(), timeouts.join);
    let error = WorkersError::NotAll { came: size - missing.len(), size, missing, address, timeout };
    if place.rank == 0 {
        let said: Vec<u8> = std::iter::once(ERROR).chain(error.to_string().into_bytes()).collect();
        store.set(&note(0), &said).map_err(gone)?;
        if !place.hosted {
            // Those who came must read it before the store ends.
            std::thread::sleep(4 * BEAT);
        }
    }
    Err(error)
}
