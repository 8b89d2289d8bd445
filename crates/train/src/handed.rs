//! Rank 0's state, handed to all workers: only it reads checkpoints, and all go on from the same bytes.

use std::collections::HashMap;
use std::path::Path;

use fewstep_torch::{Device, SafetensorsFile, Tensor, Workers};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::state::TrainState;

/// What the others must know before the buffers come.
#[derive(Serialize, Deserialize)]
struct Announced {
    entered: bool,
    card: String,
    /// Names and lengths, in the order in which they come.
    buffers: Vec<(String, i64)>,
}

/// The buffer that a state at the start of a run follows from.
const STUDENT: &str = "student";

/// Rank 0's state on every worker; the others give `None`. A state whose stage is not entered is a run's start.
///
/// # Errors
/// Rank 0 gives no state, or a worker is gone.
pub fn hand_out(
    workers: &Workers,
    state: Option<TrainState>,
    plan: &Plan,
    device: Device,
) -> Result<TrainState> {
    let bad = |problem: String| Error::File { path: Path::new("rank 0's state").to_owned(), problem };
    let state = match state {
        Some(state) if workers.is_alone() => return Ok(state),
        state => state,
    };
    let (own, announced) = match &state {
        Some(state) => {
            let (mut tensors, card) = state.to_parts()?;
            tensors.retain(|(name, _)| state.entered || name == STUDENT);
            let buffers = tensors.iter().map(|(name, t)| (name.clone(), t.numel() as i64)).collect();
            let announced = Announced { entered: state.entered, card, buffers };
            (tensors, serde_json::to_vec(&announced).map_err(std::io::Error::other)?)
        }
        None => (Vec::new(), Vec::new()),
    };
    let told = workers.gather(&announced)?;
    let told = told.first().filter(|told| !told.is_empty()).ok_or_else(|| bad("is not there".into()))?;
    let announced: Announced = serde_json::from_slice(told).map_err(|e| bad(e.to_string()))?;
    let on = (plan.compute.student.kind(), device);
    let mut tensors = HashMap::new();
    for (i, (name, length)) in announced.buffers.into_iter().enumerate() {
        let buffer = match own.get(i).filter(|_| workers.is_first()) {
            Some((_, buffer)) => buffer.shallow_clone(),
            None => Tensor::f_zeros([length], on)?,
        };
        workers.broadcast(&buffer, 0)?;
        tensors.insert(name, buffer);
    }
    if let Some(state) = state.filter(|_| workers.is_first()) {
        return Ok(state);
    }
    if !announced.entered {
        let student = tensors.remove(STUDENT).ok_or_else(|| bad("has no student".into()))?;
        return TrainState::from_student(student, plan.adam);
    }
    let file = SafetensorsFile { tensors, card: Some(announced.card), metadata: HashMap::new() };
    TrainState::from_stored(file, plan, device, Path::new("rank 0's state"))
}
