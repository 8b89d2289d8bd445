//! Kind `teacher`: a model of another program, imported from its files, against what that program computes with it.
//!
//! A vector is a folder: the files as the program writes them, and `expect.safetensors` with inputs and expected numbers.
//! The import gets what a user would say, which the metadata has, and nothing else.

mod diffusers;
mod guided;
mod lucidrains;

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use fewstep_formats::{Checkpoint, read_checkpoint};
use fewstep_import::Recognised;
use fewstep_models::Network;
use fewstep_torch::{Compute, Params, Tensor};

use super::case::Case;
use super::measured::{Measured, error_in_deviations, worst};

/// How near the numbers must come in each kind of computation.
const COMPUTES: [Compute; 2] = [Compute::F64, Compute::F32];

/// Compares all that the case has.
pub(crate) fn check(case: &Case) -> Result<Vec<Measured>> {
    // What the numbers are, and how they were made, in words.
    for remark in
        ["name", "package", "computed", "model_out", "x0_hat", "alphas_cumprod", "ddim", "layout", "weights"]
    {
        case.optional(remark);
    }
    match case.text("family")? {
        "diffusers" => diffusers::check(case),
        "guided" => guided::timesteps(case),
        "consistency" => guided::consistency(case),
        "flow" => guided::flow(case),
        "lucidrains" => lucidrains::check(case),
        _ => Err(case.unknown_kind(&["case", "family"])),
    }
}

/// The only file beside the expected numbers.
fn model_file(folder: &Path) -> Result<Checkpoint> {
    let is_model =
        |path: &PathBuf| path.extension().is_some_and(|kind| kind != "safetensors" && kind != "md");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(is_model);
    let [file] = &files[..] else {
        bail!("{}: expected one file of a model, found {files:?}", folder.display())
    };
    Ok(read_checkpoint(&std::fs::read(file)?)?)
}

/// The parameters of an imported network in a kind.
fn params(found: &Recognised<'_>, network: &dyn Network, compute: Compute) -> Result<Params> {
    let flat = found.parameters(network)?.f_to_kind(compute.kind())?;
    Ok(Params::frozen(network.layout().clone(), &flat)?)
}

/// The name of a quantity in a kind.
fn name(compute: Compute, quantity: &str) -> String {
    match compute {
        Compute::F64 => quantity.to_owned(),
        _ => format!("f32: {quantity}"),
    }
}

/// Every sample in its own standard deviations: those of one batch differ by orders of magnitude.
fn by_sample(quantity: &str, got: &Tensor, want: &Tensor, tolerance: f64) -> Result<Measured> {
    let samples: Result<Vec<Measured>> = (0..want.size().first().copied().unwrap_or(0))
        .map(|i| {
            let error = error_in_deviations(quantity, &got.f_get(i)?, &want.f_get(i)?)?;
            Ok(Measured::new(quantity, error, tolerance).at(format!("sample {i}")))
        })
        .collect();
    worst(samples?).pop().ok_or_else(|| anyhow!("{quantity}: no samples"))
}
