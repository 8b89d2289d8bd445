//! Checkpoints: a state written whole, with digests, or not at all.
//!
//! A checkpoint is a folder `<samples>` (zero padded) with `state.safetensors` and `manifest.json`. It is made under a
//! temporary name, files first, then the manifest with their digests, everything flushed to disk, and renamed into place
//! last. Reading goes from the newest to the oldest: one that is damaged is named and passed over.
//!
//! A checkpoint also keeps a text of the [`Observer`](crate::Observer), such as the sums behind the next line of a log: a line
//! that was begun before an interruption then ends as if there had been none.

use std::collections::BTreeMap;
use std::io::{BufReader, Seek};
use std::path::{Path, PathBuf};

use fewstep_files::{Digest, sync_folder, write_atomically};
use fewstep_torch::{Device, Tensor, raw_bytes, read, save};
use serde::{Deserialize, Serialize};

use crate::error::{Difference, Error, Result};
use crate::plan::Plan;
use crate::state::TrainState;

const STATE: &str = "state.safetensors";
const MANIFEST: &str = "manifest.json";
const TEMPORARY: &str = ".tmp-";
/// The observer's memory among the buffers of a state, as bytes: there its digest is that of the state.
const MEMORY: &str = "observer";

/// What a run began with. A checkpoint goes on with the same only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Identifies all of it.
    pub fingerprint: String,
    /// Digests of its parts by name, so that a difference can be named.
    pub parts: BTreeMap<String, String>,
}

impl From<&str> for Origin {
    /// Without parts.
    fn from(fingerprint: &str) -> Self {
        Self { fingerprint: fingerprint.to_owned(), parts: BTreeMap::new() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    /// Identifies the plan that the state belongs to.
    fingerprint: String,
    /// Absent in checkpoints of earlier versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<String, String>,
    bytes: u64,
    sha256: String,
}

/// The checkpoints of one run.
#[derive(Debug)]
pub struct CheckpointStore {
    folder: PathBuf,
    origin: Origin,
    keep: usize,
}

/// A state read back, and what had to be passed over to get it.
#[derive(Debug)]
pub struct Restored {
    /// The state.
    pub state: TrainState,
    /// What the observer remembered.
    pub memory: Option<String>,
    /// Where it was read.
    pub path: PathBuf,
    /// Damaged checkpoints that were newer: what is wrong with each.
    pub passed_over: Vec<String>,
}

impl CheckpointStore {
    /// Opens `folder`, making it if need be, and removes what interrupted writes have left. The last `keep` checkpoints are
    /// kept, at least one.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(folder: &Path, origin: impl Into<Origin>, keep: usize) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                fs_err::remove_dir_all(entry.path())?;
            }
        }
        Ok(Self { folder: folder.to_owned(), origin: origin.into(), keep: keep.max(1) })
    }

    /// What a worker has that writes no checkpoints: nothing of `folder` is opened, made or removed.
    pub fn of_rank_0(folder: &Path, origin: impl Into<Origin>) -> Self {
        Self { folder: folder.to_owned(), origin: origin.into(), keep: 1 }
    }

    /// The place of the checkpoint of `samples` samples.
    pub(crate) fn place(&self, samples: u64) -> PathBuf {
        self.folder.join(format!("{samples:012}"))
    }

    /// Writes `state` as the checkpoint of `samples` samples, with what the observer remembers, and drops the oldest ones.
    ///
    /// # Errors
    /// The folder is read only or the disk is full: earlier checkpoints stay as they were.
    pub fn save(&self, state: &TrainState, samples: u64, memory: Option<&str>) -> Result<PathBuf> {
        let target = self.place(samples);
        let temporary = self.folder.join(format!("{TEMPORARY}{samples:012}"));
        let written = self.write(state, memory, &temporary).and_then(|()| self.put(&temporary, &target));
        if let Err(e) = written {
            // Best effort: the next start removes it as well.
            let _ = fs_err::remove_dir_all(&temporary);
            return Err(e);
        }
        self.prune()?;
        Ok(target)
    }

    fn write(&self, state: &TrainState, memory: Option<&str>, folder: &Path) -> Result<()> {
        if folder.exists() {
            fs_err::remove_dir_all(folder)?;
        }
        fs_err::create_dir(folder)?;
        let (mut tensors, card) = state.to_parts()?;
        if let Some(memory) = memory {
            tensors.push((MEMORY.to_owned(), Tensor::f_from_slice(memory.as_bytes())?));
        }
        let saved = save(&folder.join(STATE), &tensors, Some(&card))?;
        let manifest = Manifest {
            format: 1,
            fingerprint: self.origin.fingerprint.clone(),
            parts: self.origin.parts.clone(),
            bytes: saved.bytes,
            sha256: saved.digest.hex(),
        };
        let text = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::other)?;
        write_atomically(&folder.join(MANIFEST), &text)?;
        Ok(sync_folder(folder)?)
    }

    /// The one rename. A checkpoint of the same count can only be a damaged one that was passed over: it makes way.
    fn put(&self, temporary: &Path, target: &Path) -> Result<()> {
        if target.exists() {
            let aside = self.folder.join(format!("{TEMPORARY}replaced"));
            if aside.exists() {
                fs_err::remove_dir_all(&aside)?;
            }
            fs_err::rename(target, &aside)?;
            fs_err::rename(temporary, target)?;
            fs_err::remove_dir_all(&aside)?;
        } else {
            fs_err::rename(temporary, target)?;
        }
        Ok(sync_folder(&self.folder)?)
    }

    fn prune(&self) -> Result<()> {
        let all = self.list()?;
        for old in &all[..all.len().saturating_sub(self.keep)] {
            // Out of sight first, so that an interruption here cannot leave half a checkpoint under a real name.
            let aside = self.folder.join(format!("{TEMPORARY}old"));
            if aside.exists() {
                fs_err::remove_dir_all(&aside)?;
            }
            fs_err::rename(old, &aside)?;
            fs_err::remove_dir_all(&aside)?;
        }
        Ok(())
    }

    /// Checkpoint folders, oldest first.
    fn list(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs_err::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.len() >= 12 && name.bytes().all(|b| b.is_ascii_digit()) {
                found.push((name.len(), name, entry.path()));
            }
        }
        found.sort();
        Ok(found.into_iter().map(|(_, _, path)| path).collect())
    }

    /// The newest intact checkpoint; `None` if there is none at all.
    ///
    /// # Errors
    /// There are checkpoints but none is intact, or the newest intact one belongs to another plan.
    pub fn load_newest(&self, plan: &Plan, device: Device) -> Result<Option<Restored>> {
        let mut passed_over = Vec::new();
        for path in self.list()?.into_iter().rev() {
            match self.read(&path, plan, device) {
                Ok((state, memory)) => return Ok(Some(Restored { state, memory, path, passed_over })),
                Err(e @ Error::OtherRun { .. }) => return Err(e),
                Err(e) => passed_over.push(e.to_string()),
            }
        }
        if passed_over.is_empty() {
            return Ok(None);
        }
        Err(Error::NoIntactCheckpoint { folder: self.folder.clone(), problems: passed_over.join("; ") })
    }

    fn read(&self, folder: &Path, plan: &Plan, device: Device) -> Result<(TrainState, Option<String>)> {
        let path = folder.join(MANIFEST);
        let bad = |path: &Path, problem: String| Error::File { path: path.to_owned(), problem };
        let manifest: Manifest = serde_json::from_slice(&fs_err::read(&path)?)
            .map_err(|e| bad(&path, format!("damaged manifest: {e}")))?;
        let path = folder.join(STATE);
        let mut file = fs_err::File::open(&path)?;
        let bytes = file.metadata()?.len();
        if bytes != manifest.bytes {
            let problem = format!("has {bytes} bytes, the manifest says {}", manifest.bytes);
            return Err(bad(&path, problem));
        }
        // Read twice, as nothing in it is believed before its digest is right; the second time it comes from the system's
        // cache.
        let found = Digest::of_stream(&mut file)?.hex();
        if found != manifest.sha256 {
            return Err(bad(&path, format!("sha256 is {found}, the manifest says {}", manifest.sha256)));
        }
        if manifest.fingerprint != self.origin.fingerprint {
            let differences = self.differences(&manifest.parts);
            return Err(Error::OtherRun { path: folder.to_owned(), differences });
        }
        file.rewind()?;
        let mut stored = read(BufReader::new(file), bytes, &path.display().to_string(), device)?;
        let memory = stored.tensors.remove(MEMORY).map(|memory| raw_bytes(&memory)).transpose()?;
        let memory = memory
            .map(String::from_utf8)
            .transpose()
            .map_err(|e| bad(&path, format!("what the observer remembered: {e}")))?;
        Ok((TrainState::from_stored(stored, plan, device, &path)?, memory))
    }

    /// The parts that both sides tell and tell differently.
    fn differences(&self, there: &BTreeMap<String, String>) -> Vec<Difference> {
        let of = |(what, here): (&String, &String)| {
            let there = there.get(what).filter(|there| *there != here)?.clone();
            Some(Difference { what: what.clone(), there, here: here.clone() })
        };
        self.origin.parts.iter().filter_map(of).collect()
    }
}
