//! Parity with reference vectors: every file says in its metadata what it is, and is checked by its kind.
//!
//! A vector is a safetensors file with a whole case in it, or a folder with such a file and the model of another program
//! that it is about. The file has inputs and expected numbers as tensors, everything else
//! (network, counts, rates, seeds of the weight rule) as metadata. Nothing is read from file names, so a file that the
//! harness has never seen runs as well, if its kind is known. What is not understood fails: an unknown kind, a key or a
//! tensor that no check has read, a missing one, a folder without vectors. See `golden/README.md` for the tolerances.
//!
//! One module a kind, each with `check(&Case) -> Result<Vec<Measured>>`.

mod case;
mod ddpm;
mod distill_step;
mod edm;
mod ema;
mod fill;
mod folder;
mod forward;
mod inception;
mod measured;
mod metrics;
mod network;
mod pinned;
mod probes;
mod run;
mod sample;
mod schedule;
mod teacher;
mod tier;

use std::path::Path;

use anyhow::{Result, bail};

pub use case::Case;
pub use measured::Measured;
pub use run::{Request, Summary, run};

/// Faults that are built into a training step on purpose, to prove that the vectors notice them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Both averages count one update too many.
    pub average_off_by_one: bool,
    /// The grid's clean end has no noise at all, where the reference keeps `log_snr_max`.
    pub noiseless_end: bool,
}

/// Checks one vector by its kind.
///
/// # Errors
/// A file that cannot be read, is of an unknown kind, lacks something or holds something that no check knows, and
/// failures of the project's own code. Numbers that differ are not an error but a [`Measured`] that is not ok.
pub fn check(path: &Path) -> Result<Vec<Measured>> {
    check_with(path, Faults::default())
}

/// [`check`] of a project with faults.
///
/// # Errors
/// As [`check`].
pub fn check_with(path: &Path, faults: Faults) -> Result<Vec<Measured>> {
    let case = Case::read(path)?;
    let measured = match case.text("case")? {
        "schedule" => schedule::check(&case),
        "ema" => ema::check(&case),
        "forward" => forward::check(&case),
        "sample" => sample::check(&case),
        "distill_step" => distill_step::check(&case, faults),
        "teacher" => teacher::check(&case),
        "metrics" => metrics::check(&case),
        "inception" => inception::check(&case),
        _ => Err(case.unknown_kind(&["case"])),
    }?;
    case.all_was_read()?;
    if measured.is_empty() {
        bail!("nothing was compared");
    }
    Ok(measured)
}
